"""What a Keras network does to the pixels of a photo before anything else."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_FIRST_OPERATORS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")


def photo_scaling(network: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset, float64, of one number or one a channel: the network computes on scale · photo + offset.

    They are 1 and 0 where it takes photos as they are. Layers in it that rescale are Rescaling and Normalization.
    """
    scale, offset = np.ones(1), np.zeros(1)
    for layer in _layers(network):
        kind = type(layer).__name__
        if kind in _FIRST_OPERATORS:
            break
        if kind == "Rescaling":
            factor, shift = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
        elif kind == "Normalization":
            mean, variance = (np.asarray(each, np.float64).reshape(-1) for each in (layer.mean, layer.variance))
            factor = 1 / np.maximum(np.sqrt(variance), 1e-7)
            shift = -mean * factor
            if layer.invert:
                factor, shift = 1 / factor, mean
        else:
            continue
        scale, offset = scale * factor, offset * factor + shift
    return scale, offset


def _layers(network: Any) -> Iterator[Any]:
    """Those of networks inside it too, in the order in which they were made."""
    for layer in network.layers:
        if getattr(layer, "layers", None):
            yield from _layers(layer)
        else:
            yield layer
