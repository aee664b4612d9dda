"""The network under compression, as plain data: the input and output of each method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from lykeion.nets import Architecture, Layer, Weights, count, layers

from .errors import CompressionError

USUAL = ("convolution", "dense", "-0/*")
"""The default layers of most methods: those that hold nearly all weights, without the first."""


@dataclass(frozen=True, slots=True, eq=False)
class CompressedModel:
    """A network, and which of its properties further training must preserve. Layers are named like ``3/expand``.

    In the kernels of ``sparse`` layers, zeros stay zero; in those of ``clustered`` layers, equal weights stay equal.
    With ``ranges`` (lowest and highest value of each activation) the network computes in int8. ``converted`` is the
    LiteRT file that post-training quantization made of it: such a network cannot be trained further.
    """

    architecture: Architecture
    weights: Weights = field(repr=False)
    sparse: frozenset[str] = frozenset()
    clustered: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] | None = field(default=None, repr=False)
    converted: bytes | None = field(default=None, repr=False)

    @property
    def kernels(self) -> dict[str, np.ndarray]:
        """Kernel by layer name, in the order of the layers."""
        return {layer.name: self.weights[f"{layer.name}/kernel"] for layer in kernel_layers(self.architecture)}

    @property
    def sparsity(self) -> float:
        """Share of zeros among all kernel weights."""
        kernels = self.kernels.values()
        return 1 - sum(map(np.count_nonzero, kernels)) / sum(kernel.size for kernel in kernels)

    @property
    def multiply_adds(self) -> int:
        return count(self.architecture).multiply_adds

    def check_trainable(self) -> None:
        """Raises CompressionError."""
        if self.converted is not None:
            raise CompressionError(
                f"{self.architecture.name} is converted by post-training quantization: nothing can follow; "
                "make quantize the last step, or use qat"
            )


def kernel_layers(architecture: Architecture) -> tuple[Layer, ...]:
    """The layers that have a kernel."""
    return tuple(layer for layer in layers(architecture) if layer.kind in ("convolution", "depthwise", "dense"))


def settle(model: CompressedModel) -> CompressedModel:
    """The same network, with a batch norm variance of 1 − ε after every clustered kernel: each weight of the file is
    then given by a float32 gain and a codebook value, and is delivered as these."""
    weights, epsilon = dict(model.weights), model.architecture.epsilon
    for layer in kernel_layers(model.architecture):
        if layer.name not in model.clustered or layer.kind == "dense":
            continue
        gamma, variance = (weights[f"{layer.name}/{name}"] for name in ("gamma", "variance"))
        fixed = np.float32(1 - epsilon)
        gain = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        divisor = np.sqrt(np.float64(fixed) + epsilon)
        weights[f"{layer.name}/gamma"] = (gain * divisor).astype(np.float32)
        weights[f"{layer.name}/variance"] = np.full_like(variance, fixed)
    return replace(model, weights=weights)


def select(architecture: Architecture, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of the layers with kernels that match a pattern, by name (``3/*``) or kind; a pattern with a leading
    ``-`` excludes its matches. Raises CompressionError if no layer is left."""
    chosen: dict[str, bool] = {}
    for pattern in patterns:
        wanted = pattern.removeprefix("-")
        named = [
            layer.name
            for layer in kernel_layers(architecture)
            if layer.kind == wanted or fnmatchcase(layer.name, wanted)
        ]
        if not named:
            raise CompressionError(
                f"layers: {pattern!r} names no layer of {architecture.name}; "
                "`lykeion nets show --layers` lists them, kinds are convolution, depthwise and dense"
            )
        chosen |= dict.fromkeys(named, wanted == pattern)
    names = tuple(layer.name for layer in kernel_layers(architecture) if chosen.get(layer.name))
    if not names:
        raise CompressionError(f"layers: {', '.join(patterns)} leave no layer of {architecture.name}")
    return names
