"""A MobileNet in a ``.keras`` file as an architecture and weights: the architecture is recognised by its shapes, and
verified by running both. Imports Keras."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import first_line
from lykeion.nets import (
    NETWORKS,
    Architecture,
    WeightsError,
    photo_scaling,
    weights_from_applications,
    write_litert,
)
from lykeion.nets.quiet_keras import keras

from .compressed_model import CompressedModel
from .errors import CompressionError

_PHOTOS = 8
_AGREEMENT = 1e-2
"""As a share of the outputs' variation between photos: rounding causes far less, another scaling of photos more."""
_LEAST_ODDS = 1e-30


def read_keras(path: Path) -> CompressedModel:
    """Raises CompressionError if it is not a MobileNet classifier that ``nets`` supports."""
    if not path.is_file():
        raise CompressionError(f"{path}: no such file")
    try:
        # Safe mode: a saved lambda is executable code, and is refused.
        network: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
        _, height, width, channels = network.input_shape
        _, classes = network.output_shape
    except Exception as error:  # Keras passes on any exception of its layers
        raise CompressionError(f"{path}: Keras cannot load it as a classifier: {first_line(error)}") from None
    size = {"height": height, "width": width, "channels": channels, "classes": classes}
    from_0_to_255 = _takes_0_to_255(network, path)
    for architecture in _candidates():
        try:
            architecture = replace(architecture, **size)
            model = CompressedModel(architecture, weights_from_applications(network, architecture))
        except (WeightsError, TypeError):
            continue
        if _agree(network, model, from_0_to_255):
            return model
    raise CompressionError(
        f"{path}: is no MobileNet V1, V2 or V3 of a published width; "
        "train one by `lykeion train`, or write the network as an architecture"
    )


def _candidates() -> Iterator[Architecture]:
    for network in NETWORKS.values():
        for width in network.widths or (1.0,):
            yield network.make(width)


def _takes_0_to_255(network: Any, path: Path) -> bool:
    """Whether it takes photos of 0..255, not −1..1 as networks here do. Raises CompressionError for other scales."""
    scale, offset = photo_scaling(network)
    for known, answer in (((1.0, 0.0), False), ((1 / 127.5, -1.0), True)):
        if np.allclose(scale, known[0], rtol=1e-6) and np.allclose(offset, known[1], atol=1e-6):
            return answer
    raise CompressionError(
        f"{path}: makes {_numbers(scale)} · photo + {_numbers(offset)} of a photo; networks here are for photos of "
        "−1..1, or of 0..255 that they bring there themselves (Rescaling(1 / 127.5, offset=-1)); train it so"
    )


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in np.unique(values))


def _agree(theirs: Any, ours: CompressedModel, from_0_to_255: bool) -> bool:
    """Whether both give the same outputs, up to a softmax, relative to how much outputs vary between photos."""
    from lykeion.engines import LiteRTEngine

    architecture = ours.architecture
    shape = (architecture.height, architecture.width, architecture.channels)
    noise = np.random.default_rng(0).uniform(-1, 1, (_PHOTOS, *shape))
    # Dark, bright and in between, like photos; noise alone is grey on average, and all outputs would be similar.
    light = np.linspace(-0.8, 0.8, _PHOTOS)[:, None, None, None]
    photos = (light + (1 - np.abs(light)) * noise).astype(np.float32)
    expected = LiteRTEngine(write_litert(architecture, ours.weights, output="logits")).run(photos)["logits"]
    seen = (photos + 1) * 127.5 if from_0_to_255 else photos
    found = np.asarray(keras.ops.convert_to_numpy(theirs(seen, training=False)))
    if (found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=1e-3):  # a softmax; its logarithm is compared
        expected = expected - expected.max(axis=1, keepdims=True)
        expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
        known = found > _LEAST_ODDS
        found, expected = np.log(np.where(known, found, 1)), np.where(known, expected, 0)
    spread = np.abs(expected - expected.mean(axis=0)).max()
    return bool(np.abs(found - expected).max() <= _AGREEMENT * spread)
