"""Parameters and multiply-adds of an architecture, counted from its data."""

from dataclasses import dataclass
from math import prod

from .architecture import Architecture
from .unrolling import layers


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one photo. ``statistics`` are batch norm's means and variances: not trained."""

    trainable: int
    statistics: int
    multiply_adds: int

    @property
    def parameters(self) -> int:
        """The number of weights in a file, like Keras' ``count_params``."""
        return self.trainable + self.statistics


def count(architecture: Architecture) -> Counts:
    trainable = statistics = multiply_adds = 0
    for layer in layers(architecture):
        for name, shape in layer.weights().items():
            if name.endswith(("/mean", "/variance")):
                statistics += prod(shape)
            else:
                trainable += prod(shape)
        multiply_adds += layer.multiply_adds
    return Counts(trainable, statistics, multiply_adds)
