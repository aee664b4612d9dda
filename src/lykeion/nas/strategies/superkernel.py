"""Single-Path NAS's superkernel (arXiv:1904.02877): every choice of a slot is a part of one largest block.

The largest block has the largest depthwise kernel at the largest expansion, with squeeze-and-excitation where the
slot offers it. Gates decide which parts are used: the outer ring of the kernel, the channels above each smaller
expansion, squeeze-and-excitation, and the whole block. A gate is open where the mean square of its group of depthwise
weights, divided by that of the whole kernel, exceeds a trainable threshold. Both are about 1 for any kernel size, so
that a threshold can cross within some tens of steps. (The published form compares the norms themselves;
docs/decisions/architecture-search.md explains the change.) Gates are 0 or 1 in the forward pass and sigmoids in the
backward pass.

The ring's gate multiplies the kernel. Channels' gates multiply the output of batch norm, which would undo a factor
before it and let closed channels leak their offset; for the same reason the block's gate multiplies its output. With
gates of 0 and 1 the block is then exactly the chosen one, given batch norm's statistics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lykeion.nas.design_space.space import Choice, Slot
from lykeion.nets import Activation, row_layers
from lykeion.nets.quiet_keras import keras

from .grid import Grid, bands, shares
from .slots import Arrays, SearchableSlot, Tensor, ops

LIMIT = 2.0
"""Thresholds stay in [0, LIMIT], so that a closed gate remains within reach of its edge and can open again."""


class Superkernel(SearchableSlot):
    """A slot as one superkernel. ``usage`` are the costs of the slot's choices, in the same order."""

    approaches = True

    def __init__(self, slot: Slot, usage: Sequence[float], *, momentum: float, seed: int) -> None:
        grid = Grid.of(slot)
        super().__init__(slot, len(grid.gates), seed)
        self._grid = grid
        self._table, self._rings = grid.table(usage), grid.rings()
        self._groups = grid.groups()
        self._channel_bands, self._hidden_bands = bands(grid.channels), bands(grid.hidden)
        kernel, channels = grid.kernels[-1], grid.channels[-1]
        self._expands = channels != slot.channels_in
        if self._expands:
            self._expand = Convolve(channels, slot.activation, momentum, seed)
        self._kernel = self.add_weight(
            shape=(kernel, kernel, channels, 1),
            initializer=keras.initializers.RandomNormal(stddev=(2 / kernel**2) ** 0.5, seed=seed + 1),
            name="superkernel",
        )
        self._norm = Norm(slot.activation, momentum)
        if grid.squeezes[-1]:
            self._excite = Excite(channels, grid.hidden[-1], seed + 2)
        self._project = Convolve(slot.output, "linear", momentum, seed + 4)
        self._adds = slot.row(Choice(kernel, grid.expansions[-1])).adds(slot.channels_in)
        self._thresholds = self.add_weight(
            shape=(len(grid.gates),), initializer="zeros", constraint=_WithinLimit(), name="thresholds"
        )

    def call(self, inputs: Tensor, mix: Tensor, training: bool = False) -> Tensor:
        kernels, expansions, squeeze, block = self._grid.axes(mix)
        mask = sum(level * ring for level, ring in zip(kernels, self._rings, strict=True))
        kernel = self._kernel * ops.expand_dims(ops.expand_dims(mask, -1), -1)
        hidden = self._expand(inputs, training=training) if self._expands else inputs
        hidden = ops.depthwise_conv(hidden, kernel, strides=self.slot.stride, padding="same")
        hidden = self._norm(hidden, training=training) * _opened(expansions, self._channel_bands)
        if self._grid.squeezes[-1]:
            factor = self._excite(hidden, _opened(expansions, self._hidden_bands))
            used = squeeze[-1]
            hidden = hidden * (used * factor + (1 - used))
        output = self._project(hidden, training=training) * block
        return output + inputs if self._adds else output

    def explored(self, progress: Tensor) -> Tensor:
        """All open except for dropout, which falls from one half to 0, so that the weights of every choice learn."""
        drawn = keras.random.uniform((len(self._grid.gates),), seed=self.seeds)
        return ops.cast(drawn >= 0.5 * (1 - progress), "float32")

    def relaxed(self, progress: Tensor) -> Tensor:
        margins = self.margins()
        soft = ops.sigmoid(margins)
        return ops.stop_gradient(ops.cast(margins >= 0, "float32") - soft) + soft

    def decided(self) -> Tensor:
        return ops.cast(self.margins() >= 0, "float32")

    def margins(self) -> Tensor:
        """Statistic minus threshold, for each gate; a gate is open from 0."""
        square = ops.square(self._kernel[..., 0])
        means = ops.sum(self._groups * square, axis=(1, 2, 3)) / self._groups.sum(axis=(1, 2, 3))
        return means / ops.mean(square) - self._thresholds

    def usage(self, mix: Tensor) -> Tensor:
        """Multilinear over the entries of all choices."""
        kernels, expansions, squeeze, block = self._grid.axes(mix)
        total = 0.0
        for kernel, by_expansion in zip(shares(kernels), self._table, strict=True):
            for expansion, by_squeeze in zip(shares(expansions), by_expansion, strict=True):
                for excited, entry in zip(shares(squeeze), by_squeeze, strict=True):
                    total = total + kernel * expansion * excited * entry
        return total * block

    def choice(self, mix: np.ndarray) -> Choice | None:
        return self._grid.choice(mix)

    def mix_of(self, choice: Choice | None) -> np.ndarray:
        return self._grid.gates_of(choice)

    def arrays(self, choice: Choice) -> Arrays:
        depthwise = ops.convert_to_numpy(self._kernel)[..., 0]
        cut = (depthwise.shape[0] - choice.kernel) // 2
        inner = slice(cut, cut + choice.kernel)
        whole = {"0/depthwise/kernel": depthwise[inner, inner], **named("0/depthwise", self._norm.arrays())}
        whole |= named("0/project", self._project.arrays())
        if self._expands:
            whole |= named("0/expand", self._expand.arrays())
        if self._grid.squeezes[-1]:
            whole |= named("0", self._excite.arrays())
        slot = self.slot
        return {
            name: whole[name][tuple(map(slice, shape))]
            for layer in row_layers(slot.row(choice), slot.height, slot.width, slot.channels_in)
            for name, shape in layer.weights().items()
        }

    def watched(self) -> dict[str, float]:
        return dict(zip(self._grid.gates, ops.convert_to_numpy(self.margins()).tolist(), strict=True))


class Convolve(keras.layers.Layer):
    """A 1×1 convolution without bias, batch norm, activation."""

    def __init__(self, output: int, activation: Activation, momentum: float, seed: int) -> None:
        super().__init__()
        start = _start(1 if activation == "linear" else 2, seed)
        self._kernel = keras.layers.Conv2D(output, 1, use_bias=False, kernel_initializer=start)
        self._norm = Norm(activation, momentum)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        return self._norm(self._kernel(inputs), training=training)

    def arrays(self) -> Arrays:
        return {"kernel": ops.convert_to_numpy(self._kernel.kernel), **self._norm.arrays()}


class Norm(keras.layers.Layer):
    """Batch norm and activation."""

    def __init__(self, activation: Activation, momentum: float) -> None:
        super().__init__()
        self._norm = keras.layers.BatchNormalization(momentum=momentum, epsilon=1e-3)
        self._activation = keras.activations.get(activation.replace("-", "_"))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        return self._activation(self._norm(inputs, training=training))

    def arrays(self) -> Arrays:
        norm = self._norm
        values = {"gamma": norm.gamma, "beta": norm.beta, "mean": norm.moving_mean, "variance": norm.moving_variance}
        return {name: ops.convert_to_numpy(value) for name, value in values.items()}


class Excite(keras.layers.Layer):
    """Squeeze-and-excitation's factors (n, 1, 1, channels), from the hidden channels as far as they are open."""

    def __init__(self, channels: int, squeeze: int, seed: int) -> None:
        super().__init__()
        self._reduce = keras.layers.Dense(squeeze, activation="relu", kernel_initializer=_start(2, seed))
        self._gate = keras.layers.Dense(channels, activation="hard_sigmoid", kernel_initializer=_start(1, seed + 1))

    def call(self, inputs: Tensor, opened: Tensor) -> Tensor:
        return self._gate(self._reduce(ops.mean(inputs, axis=(1, 2), keepdims=True)) * opened)

    def arrays(self) -> Arrays:
        return {
            f"{part}/{name}": ops.convert_to_numpy(value)
            for part, layer in (("reduce", self._reduce), ("gate", self._gate))
            for name, value in (("kernel", layer.kernel), ("bias", layer.bias))
        }


def _start(gain: int, seed: int) -> Any:
    """Initial weights that keep the variance, times ``gain``: 2 before a ReLU (He et al., arXiv:1502.01852)."""
    return keras.initializers.VarianceScaling(gain, "fan_in", seed=seed)


def named(part: str, arrays: Arrays) -> Arrays:
    return {f"{part}/{name}": value for name, value in arrays.items()}


def _opened(reached: Sequence[Tensor], steps: np.ndarray) -> Tensor:
    """A factor for each channel."""
    return sum(level * step for level, step in zip(reached, steps, strict=True))


class _WithinLimit(keras.constraints.Constraint):
    def __call__(self, value: Tensor) -> Tensor:
        return ops.clip(value, 0.0, LIMIT)
