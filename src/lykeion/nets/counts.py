"""Parameters and multiply-adds of an architecture, counted from its data."""

from dataclasses import dataclass
from math import prod

from .architecture import Architecture
from .layers import Layer, layers


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one photo. ``statistics`` are batch norm's means and variances: kept, not trained."""

    trainable: int
    statistics: int
    multiply_adds: int

    @property
    def parameters(self) -> int:
        """All numbers a file of weights holds, as Keras' ``count_params`` says."""
        return self.trainable + self.statistics


def count(architecture: Architecture) -> Counts:
    trainable = statistics = multiply_adds = 0
    for layer in layers(architecture):
        for name, shape in layer.weights().items():
            if name.endswith(("/mean", "/variance")):
                statistics += prod(shape)
            else:
                trainable += prod(shape)
        multiply_adds += _multiply_adds(layer)
    return Counts(trainable, statistics, multiply_adds)


def _multiply_adds(layer: Layer) -> int:
    """Of convolutions and dense layers, as papers count: additions, pooling, bias and batch norm left out."""
    positions = layer.height * layer.width
    match layer.kind:
        case "convolution" | "dense":
            return positions * layer.kernel**2 * layer.channels_in * layer.channels
        case "depthwise":
            return positions * layer.kernel**2 * layer.channels
        case "add" | "pool":
            return 0
