"""Keras layers whose weights have the form that they have in a compressed network. Imports Keras.

One layer class serves convolutions, depthwise convolutions and dense layers. Its kernel is unconstrained; or has
zeros that a constraint keeps; or is looked up in a trained codebook, by fixed indices or by the value of the least
cost to separately trained weights. In an int8 network it folds its batch norm and rounds as the integers will;
ranges, sums and hard-swish are layers that round as LiteRT does, to the last bit.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from lykeion.compress.compressed_model import CompressedModel
from lykeion.compress.weights.codebooks import Moving, cheapest
from lykeion.compress.weights.integers import LEAST_GAIN, SMALLEST_STEP, TO_127, per_deviation
from lykeion.nets import TO_255, Layer
from lykeion.nets.quiet_keras import keras

ops: Any = keras.ops  # its types allow None wherever a backend might return it
Unit: TypeAlias = Callable[[], Any]
MOST_RATIO = 256.0
"""Largest ratio of the step of a summand to that of the sum; above it, one step saturates."""


class Masked(keras.constraints.Constraint):
    """Keeps weights zero where the mask, a variable of the kernel's shape, is zero. Part of the compiled step."""

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def __call__(self, w: Any) -> Any:
        return w * self.mask


class AtLeast(keras.constraints.Constraint):
    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, self.least)


class SimulatedOperator(keras.layers.Layer):
    """The operator of one layer of an architecture, with the layer's weights from ``model``.

    With ``model.ranges``, batch norm is folded in with fixed statistics: those of a trained network have converged,
    and training then matches inference (Krishnamoorthi, arXiv:1806.08342, section 3.2).
    """

    def __init__(
        self, layer: Layer, model: CompressedModel, source: "Range | None" = None, moving: Moving | None = None
    ) -> None:
        """``source`` rounds the input in an int8 network; ``moving`` is not for int8 networks."""
        super().__init__(name=keras_name(layer))
        self._source, self._moving = source, moving
        # relu6(x + 3) / 6: in int8 the bias includes the 3.
        self._shift = 3.0 if layer.activation == "hard-sigmoid" else 0.0
        self.layer, self._quantized = layer, model.ranges is not None
        self._start = {name.rpartition("/")[2]: model.weights[name] for name in layer.weights()}
        self.is_sparse, self._clustered = layer.name in model.sparse, layer.name in model.clustered
        self._epsilon = model.architecture.epsilon

    def build(self, input_shape: Any) -> None:
        start = self._start
        if self._clustered:
            values, self._places = codebook(start["kernel"], keep_zero=self.is_sparse)
            self.codebook = self._variable("codebook", values)
        if self._moving or not self._clustered:
            self.kernel = self._variable("kernel", self._moving.kernel if self._moving else start["kernel"])
            if self.is_sparse:
                self.mask = self._variable("mask", (start["kernel"] != 0).astype(np.float32), trainable=False)
                self.kernel.constraint = Masked(self.mask)
        if self.layer.kind == "dense":
            self.bias = self._variable("bias", start["bias"])
        elif self._quantized:
            self.gamma = self._variable("gamma", start["gamma"])
            if self._clustered:
                self.gamma.constraint = AtLeast(LEAST_GAIN)
            self.beta = self._variable("beta", start["beta"])
            self._per_deviation = per_deviation(start["variance"], self._epsilon)
            self._mean = start["mean"]

    def call(self, inputs: Any) -> Any:
        unit = None
        if self._quantized:
            # In whole numbers, whose sums are exact in float32: equal to the integer sums, to the last bit.
            kernel, bias, unit = self._codes()
            inputs = _whole(inputs / ops.stop_gradient(self._source_scale()))
        else:
            kernel, bias = self._kernel(), self.bias if self.layer.kind == "dense" else None
        match self.layer.kind:
            case "convolution":
                outputs = ops.conv(inputs, kernel, self.layer.stride, self.layer.padding)
            case "depthwise":
                outputs = ops.depthwise_conv(inputs, kernel[..., None], self.layer.stride, self.layer.padding)
            case _:
                outputs = ops.matmul(inputs, kernel)
        outputs = outputs if bias is None else outputs + bias
        return outputs if unit is None else outputs * unit

    def unit(self) -> Any:
        """The unit of which its outputs are whole multiples in int8, (channels,)."""
        return self._codes()[2]

    def trained(self) -> dict[str, np.ndarray]:
        """The current weights by the last part of their names, without those that are not trained."""
        if self._moving:
            kernel = _array(self.codebook)[ops.convert_to_numpy(self._cheapest())]
            kernel = kernel * (_array(self.mask) if self.is_sparse else np.float32(1))
        elif self._clustered:
            values = _array(self.codebook)
            kernel = (np.concatenate([[np.float32(0)], values]) if self.is_sparse else values)[self._places]
        else:
            # Averages of weights (EMA) are not constrained.
            kernel = _array(self.kernel) * (_array(self.mask) if self.is_sparse else np.float32(1))
        own = {"kernel": kernel}
        for name in ("bias", "gamma", "beta"):
            if hasattr(self, name):
                own[name] = _array(getattr(self, name))
        return own

    def _kernel(self) -> Any:
        if self._moving:
            return self._moved()
        return looked_up(self._values(self.codebook), self._places) if self._clustered else self.kernel

    def _moved(self) -> Any:
        """The values that weights take now. Gradients go to both, to the weights unchanged (straight-through)."""
        kernel = ops.convert_to_tensor(self.kernel)
        shared = looked_up(self.codebook, self._cheapest()) + kernel - ops.stop_gradient(kernel)
        return shared * self.mask if self.is_sparse else shared

    def _cheapest(self) -> Any:
        """The index of the value of the least cost for each weight."""
        assert self._moving is not None, "only where weights may change their value"
        kernel, values = map(ops.stop_gradient, map(ops.convert_to_tensor, (self.kernel, self.codebook)))
        order = ops.argsort(values)
        bounds = cheapest(ops.take(values, order), ops.take(self._moving.prices, order), ops)
        nearest = ops.searchsorted(bounds, ops.reshape(kernel, (-1,)))
        return ops.reshape(ops.take(order, nearest), kernel.shape)

    def _values(self, values: Any) -> Any:
        return ops.concatenate([ops.zeros((1,), values.dtype), values]) if self.is_sparse else values

    def _codes(self) -> tuple[Any, Any, Any]:
        """Kernel and bias, folded, as the integers of the file, and the unit of their sums; gradients pass through
        the rounding unchanged (straight-through, arXiv:1308.3432)."""
        if self.layer.kind == "dense":
            scale, bias = ops.ones((self.layer.channels,)), self.bias
        else:
            scale = self.gamma * self._per_deviation
            bias = self.beta - self._mean * scale
        if self._clustered:
            values = self._values(self.codebook)
            step = ops.maximum(ops.max(ops.abs(values)) * TO_127, SMALLEST_STEP)
            steps = _short(ops.maximum(step * scale, SMALLEST_STEP))
            kernel = looked_up(_on_grid(values, step), self._places) * (steps / step)
        else:
            kernel = self.kernel * scale
            axes = tuple(range(len(kernel.shape) - 1))
            steps = _short(ops.maximum(ops.max(ops.abs(kernel), axis=axes) * TO_127, SMALLEST_STEP))
        steps = ops.stop_gradient(steps)
        unit = steps * ops.stop_gradient(self._source_scale())
        return _whole(kernel / steps), _short_bias((bias + self._shift) / unit), unit

    def _source_scale(self) -> Any:
        assert self._source is not None, "a network in int8 rounds every input"
        return self._source.scale()

    def _variable(self, name: str, value: np.ndarray, *, trainable: bool = True) -> Any:
        variable = self.add_weight(name=name, shape=value.shape, initializer="zeros", trainable=trainable)
        variable.assign(value)
        return variable


class Range(keras.layers.Layer):
    """Rounds an activation to the 256 int8 levels of its range; in training the range follows the extremes of the
    batches as moving averages (arXiv:1712.05877, section 3.1).

    ``unit`` returns the unit of which the numbers are whole multiples. They are divided by it and multiplied once, in
    float32, as in XNNPACK: another order of the same products sometimes rounds a half the other way, and the
    difference grows from layer to layer.
    """

    momentum = 0.99

    def __init__(
        self, tensor: str, low: float, high: float, *, fixed: bool = False, unit: Unit | None = None
    ) -> None:
        super().__init__(name=f"{tensor.replace('/', '_')}_range")
        self.tensor, self._fixed, self._unit = tensor, fixed, unit
        # Here and not in build: layers before it, such as a sum, need its scale.
        self._low, self._high = (
            self.add_weight(name=name, shape=(), initializer="zeros", trainable=False) for name in ("low", "high")
        )
        for variable, value in zip((self._low, self._high), (low, high), strict=True):
            variable.assign(value)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training and not self._fixed:
            for variable, seen in ((self._low, ops.min(inputs)), (self._high, ops.max(inputs))):
                # A range contains zero: padding is zero, and so are values that ReLU cuts off.
                seen = ops.minimum(seen, 0.0) if variable is self._low else ops.maximum(seen, 0.0)
                variable.assign(self.momentum * variable + (1 - self.momentum) * seen)
        scale = self.scale()
        zero = ops.clip(ops.round(-128 - ops.convert_to_tensor(self._low) / scale), -128, 127)
        within = ops.clip(inputs, (-128 - zero) * scale, (127 - zero) * scale)
        if self._unit is None:
            steps = inputs / scale
        else:
            unit = self._unit()
            steps = ops.round(inputs / unit) * (unit / scale)
        codes = ops.clip(ops.round(steps), -128 - zero, 127 - zero)
        return _straight_through(within, codes * scale)

    def scale(self) -> Any:
        """Scale of the integers for the current range."""
        return ops.maximum((self._high - self._low) * TO_255, SMALLEST_STEP)

    def trained(self) -> tuple[float, float]:
        return float(_array(self._low)), float(_array(self._high))


class Sum(keras.layers.Layer):
    """Adds two rounded activations as XNNPACK adds their integers: by whole multipliers of 21 bits, halves up.

    ``sources`` rounded the summands, ``target`` will round the sum.
    """

    def __init__(self, layer: Layer, sources: Sequence[Range], target: Range) -> None:
        super().__init__(name=keras_name(layer))
        self._sources, self._target = sources, target

    def call(self, inputs: Any) -> Any:
        total, target = inputs[0] + inputs[1], self._target.scale()
        scales = [source.scale() for source in self._sources]
        ratios = ops.minimum(ops.stack(scales) / target, MOST_RATIO)
        shift = ops.minimum(20 - ops.floor(ops.log2(ops.max(ratios))), 30)
        multipliers = ops.cast(ops.round(ratios * ops.power(2.0, shift)), "int32")
        one, other = (ops.cast(ops.round(each / scale), "int32") for each, scale in zip(inputs, scales, strict=True))
        half = ops.cast(ops.power(2.0, shift - 1), "int32")
        steps = ops.right_shift(one * multipliers[0] + other * multipliers[1] + half, ops.cast(shift, "int32"))
        return _straight_through(total, ops.cast(steps, "float32") * target)


class HardSwish(keras.layers.Layer):
    """Hard-swish of a rounded activation as in LiteRT's own kernel, in 16-bit fixed point: looked up in a table of
    the results for the whole numbers from -255 to 255.

    ``source`` rounded the activation, ``target`` will round the result.
    """

    def __init__(self, source: Range, target: Range, *, name: str) -> None:
        super().__init__(name=name)
        self._source, self._target = source, target

    def call(self, inputs: Any) -> Any:
        made, source, target = ops.hard_silu(inputs), self._source.scale(), self._target.scale()
        steps = ops.take(_hard_swish(source, target), ops.cast(ops.round(inputs / source), "int32") + 255)
        return _straight_through(made, ops.cast(steps, "float32") * target)


def _hard_swish(source: Any, target: Any) -> Any:
    """In steps of ``target``, int32 (511,)."""
    fine, most = 128 * ops.arange(-255, 256, dtype="int32"), 2**15
    # relu6(x + 3) / 6 as a ramp from 0 to 1. In float64, since a factor then rounds as the division by 3 does.
    slope, power = _fixed(ops.cast(ops.cast(source, "float64") * (most / 3 / 128), "float32"))
    rise = ops.clip(ops.left_shift(fine, ops.maximum(power - 1, 0)), -most, most - 1)
    rise = ops.right_shift(rise * slope + most // 2, 15)
    rise = ops.where(power > 0, ops.clip(2 * rise, -most, most - 1), _halves_away(rise, ops.maximum(-power, 0)))
    rise = ops.right_shift(rise + most, 1)
    gain, power = _fixed(source * (1 / 128) / target)
    straight = ops.right_shift(fine * gain + most // 2, 15)
    product = ops.sign(straight) * ops.right_shift(rise * ops.abs(straight), 15)
    return _halves_away(product, ops.maximum(-power, 0))


def _fixed(ratio: Any) -> tuple[Any, Any]:
    """A positive number as mantissa · 2^(power - 15), the mantissa of 15 bits; int32."""
    power = ops.floor(ops.log2(ratio)) + 1
    mantissa = ops.minimum(ops.floor(ratio * ops.power(2.0, 15 - power) + 0.5), 32767)
    return ops.cast(mantissa, "int32"), ops.cast(power, "int32")


def _halves_away(numbers: Any, power: Any) -> Any:
    """Divided by 2^power and rounded, halves away from zero; int32."""
    half = ops.right_shift(ops.left_shift(ops.ones_like(power), power), 1)
    return ops.sign(numbers) * ops.right_shift(ops.abs(numbers) + half, power)


def keras_name(layer: Layer) -> str:
    return layer.name.replace("/", "_")


def codebook(kernel: np.ndarray, *, keep_zero: bool) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values, float32 (values), and each weight's index among them, int32. With ``keep_zero``, zero is not
    among the values, and index 0 stands for it."""
    values, places = np.unique(kernel, return_inverse=True)
    places = places.reshape(kernel.shape).astype(np.int32)
    if not keep_zero:
        return values, places
    zero = int(np.searchsorted(values, 0.0))
    if zero == len(values) or values[zero] != 0:
        return values, places + 1
    return np.delete(values, zero), np.where(places == zero, 0, places + (places < zero)).astype(np.int32)


def looked_up(values: Any, places: Any) -> Any:
    """``values[places]``; its gradient is summed over each value's places (Deep Compression, arXiv:1510.00149)."""
    flat = ops.reshape(places, (-1,))
    values = ops.reshape(values, (-1,))  # a variable's tensor: a custom gradient takes no variables

    @ops.custom_gradient
    def look_up(values: Any) -> Any:
        def gradient(*given: Any, upstream: Any = None) -> Any:
            upstream = given[0] if upstream is None else upstream
            return ops.segment_sum(ops.reshape(upstream, (-1,)), flat, num_segments=values.shape[0])

        return ops.take(values, places, axis=0), gradient

    return look_up(values)


def _straight_through(numbers: Any, rounded: Any) -> Any:
    """The rounded numbers; the gradient is that of the identity (arXiv:1308.3432)."""
    return numbers + ops.stop_gradient(rounded - numbers)


def _on_grid(numbers: Any, step: Any) -> Any:
    """Round to the nearest multiple of ``step``, straight-through."""
    return _straight_through(numbers, ops.round(numbers / step) * step)


def _whole(numbers: Any) -> Any:
    return _straight_through(numbers, ops.round(numbers))


def _short(steps: Any) -> Any:
    """Like ``integers.short``, straight-through."""
    unit = ops.power(2.0, ops.floor(ops.log2(steps)) - 7)
    return _straight_through(steps, ops.ceil(steps / unit) * unit)


def _short_bias(codes: Any) -> Any:
    """As ``nets.litert_int8`` writes it: a whole number of 10 significant bits; straight-through."""
    grid = ops.power(2.0, ops.floor(ops.log2(ops.maximum(ops.abs(codes), 1.0))) - 9)
    return _straight_through(codes, ops.round(ops.round(codes / grid) * grid))


def _array(variable: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(variable), np.float32)
