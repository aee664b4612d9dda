"""Predictions of a LiteRT file on photos: the source of every accuracy in a report."""

import numpy as np

from lykeion.engines import LiteRTEngine
from lykeion.nets.training import Photos, normalise

_BATCH = 64


def predict_litert(file: bytes, photos: Photos, *, threads: int = 1) -> np.ndarray:
    """Logits float32 (photos, classes). Raises ModelError."""
    engine = LiteRTEngine(file, threads=threads)
    outputs = [
        engine.run(normalise(photos.read(np.arange(start, min(start + _BATCH, len(photos))))))[engine.outputs[0].name]
        for start in range(0, len(photos), _BATCH)
    ]
    engine.close()
    return np.concatenate(outputs)


def correct_litert(file: bytes, photos: Photos) -> np.ndarray:
    """Which photos the file classifies correctly, bool (photos,). Raises ModelError."""
    return predict_litert(file, photos).argmax(axis=1) == photos.labels
