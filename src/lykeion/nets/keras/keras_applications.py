"""Weights of the networks in keras.applications, under our names."""

from typing import Any

import numpy as np

from lykeion.nets.architecture import Architecture
from lykeion.nets.published_weights import WeightsError
from lykeion.nets.unrolling import layers


def weights_from_applications(model: Any, architecture: Architecture) -> dict[str, np.ndarray]:
    """The weights of ``model``, a network of keras.applications, for the architecture of the same network.

    Both have their layers in execution order, so the arrays correspond one to one; a dense layer here may be a 1×1
    convolution there. A model without its top has no weights after the pooling, and none are returned. Raises
    WeightsError if the number or the shapes of the arrays do not match.
    """
    theirs: list[np.ndarray] = model.get_weights()
    rows = [layer for layer in layers(architecture) if not layer.vector]
    for wanted in (layers(architecture), rows):
        shapes = {name: shape for layer in wanted for name, shape in layer.weights().items()}
        if len(shapes) == len(theirs):
            break
    else:
        raise WeightsError(
            f"{model.name} has {len(theirs)} arrays of weights and {architecture.name} {len(shapes)}; "
            "they are not the same network"
        )
    for (name, shape), array in zip(shapes.items(), theirs, strict=True):
        if _without_ones(array.shape) != _without_ones(shape):
            raise WeightsError(
                f"{model.name}: {name!r} has shape {array.shape} there; {architecture.name} needs {shape}"
            )
    return {name: array.reshape(shape) for (name, shape), array in zip(shapes.items(), theirs, strict=True)}


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
