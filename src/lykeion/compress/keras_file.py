"""A MobileNet in a ``.keras`` file as an architecture and weights: which one it is follows from its shapes, and is
checked by running both. Imports Keras."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import first_line
from lykeion.nets import NETWORKS, Architecture, WeightsError, weights_from_applications, write_litert
from lykeion.nets.quiet_keras import keras

from .compressed_model import CompressedModel
from .errors import CompressionError

_PHOTOS = 4


def read_keras(path: Path) -> CompressedModel:
    """Raises CompressionError where it is not a MobileNet classifier that ``nets`` knows."""
    if not path.is_file():
        raise CompressionError(f"{path}: no such file")
    try:
        # Safe mode: a saved lambda is a program, and is refused.
        network: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
        _, height, width, channels = network.input_shape
        _, classes = network.output_shape
    except Exception as error:  # Keras raises whatever its layers do
        raise CompressionError(f"{path}: Keras cannot load it as a classifier: {first_line(error)}") from None
    size = {"height": height, "width": width, "channels": channels, "classes": classes}
    for architecture in _candidates():
        try:
            architecture = replace(architecture, **size)
            model = CompressedModel(architecture, weights_from_applications(network, architecture))
        except (WeightsError, TypeError):
            continue
        if _agree(network, model):
            return model
    raise CompressionError(
        f"{path}: is no MobileNet V1, V2 or V3 of a published width whose photos are −1..1 or 0..255; "
        "train one by `lykeion train`, or write the network as an architecture"
    )


def _candidates() -> Iterator[Architecture]:
    for network in NETWORKS.values():
        for width in network.widths or (1.0,):
            yield network.make(width)


def _agree(theirs: Any, ours: CompressedModel) -> bool:
    """Whether both name photos alike, up to a softmax, and a network that scales 0..255 itself."""
    from lykeion.engines import LiteRTEngine

    shape = (_PHOTOS, ours.architecture.height, ours.architecture.width, ours.architecture.channels)
    photos = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    logits = LiteRTEngine(write_litert(ours.architecture, ours.weights, output="logits")).run(photos)["logits"]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    for seen in (photos, (photos + 1) * 127.5):
        found = np.asarray(keras.ops.convert_to_numpy(theirs(seen, training=False)))
        for expected in (logits, odds / odds.sum(axis=1, keepdims=True)):
            if np.abs(found - expected).max() <= 1e-3 * max(1e-3, float(np.abs(expected).max())):
                return True
    return False
