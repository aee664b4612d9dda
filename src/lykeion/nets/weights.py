"""Weights of a network by name, and initial weights for training."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import TypeAlias

import numpy as np

from .architecture import Architecture
from .unrolling import Layer, layers

Weights: TypeAlias = Mapping[str, np.ndarray]
"""Float32 arrays with the names and shapes of ``Layer.weights``."""


def random_weights(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Initial weights: kernels that preserve the variance of their input (He et al., arXiv:1502.01852), identity
    batch norms, zero biases. Equal seeds give equal weights."""
    return random_layer_weights(layers(architecture), seed)


def random_layer_weights(of: Iterable[Layer], seed: int = 0) -> dict[str, np.ndarray]:
    """The same for some layers."""
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}
    for layer in of:
        for name, shape in layer.weights().items():
            match name.rpartition("/")[2]:
                case "kernel":
                    # The fan-in is kernel² · channels_in, or kernel² for a depthwise convolution.
                    inputs = prod(shape[:-1])
                    gain = 1.0 if layer.activation in ("linear", "hard-sigmoid") else 2.0
                    weights[name] = rng.standard_normal(shape, np.float32) * np.float32((gain / inputs) ** 0.5)
                case "gamma" | "variance":
                    weights[name] = np.ones(shape, np.float32)
                case _:
                    weights[name] = np.zeros(shape, np.float32)
    return weights
