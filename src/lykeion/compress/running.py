"""A LiteRT file on photos: what every accuracy in a report comes from."""

import numpy as np

from lykeion.engines import LiteRTEngine
from lykeion.nets.training import Photos
from lykeion.nets.training.frame import normalise

_BATCH = 64


def predict_litert(file: bytes, photos: Photos, count: int | None = None, *, threads: int = 1) -> np.ndarray:
    """Logits float32 (photos, classes) of the first ``count`` photos, or of all. Raises ModelError."""
    engine = LiteRTEngine(file, threads=threads)
    total = len(photos) if count is None else min(count, len(photos))
    outputs = [
        engine.run(normalise(photos.read(np.arange(start, min(start + _BATCH, total)))))[engine.outputs[0].name]
        for start in range(0, total, _BATCH)
    ]
    engine.close()
    return np.concatenate(outputs)


def correct_litert(file: bytes, photos: Photos, count: int | None = None) -> np.ndarray:
    """Which photos the file names rightly, bool (photos,). Raises ModelError."""
    logits = predict_litert(file, photos, count)
    return logits.argmax(axis=1) == photos.labels[: len(logits)]
