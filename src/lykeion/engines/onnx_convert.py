"""From a LiteRT file to ONNX, for the operators that photo networks are made of, float or integer.

Maps are (n, height, width, channels) in LiteRT and (n, channels, height, width) in ONNX: inside the graph every
tensor of four axes is turned, inputs and outputs are as they were. An integer tensor becomes the pair QuantizeLinear,
DequantizeLinear around operators on real numbers (ONNX' "QDQ" form), which runtimes fuse to integer kernels. Written
for opset 21, since 16-bit activations need it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported

from .graph import Graph, Operator, Quantization, Tensor, precision, read_graph
from .protocol import ModelError

OPSET, IR_VERSION = 21, 10
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
_AXIS_NCHW = {0: 0, 1: 2, 2: 3, 3: 1}


def to_onnx(model: bytes, name: str = "model") -> bytes:
    """The ONNX file of a ``.tflite`` file. Raises ModelError; Unsupported, which names what is lacking."""
    graph = read_graph(model, name)
    if lacking := sorted({operator.kind for operator in graph.operators} - _WRITERS.keys()):
        raise Unsupported(f"{name}: ONNX conversion lacks {', '.join(lacking)}")
    writer = _Writer(graph)
    try:
        return writer.write()
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{name}: not a sound LiteRT model: {line}") from None


class _Writer:
    """``values`` holds the ONNX name of each tensor's real numbers, by the tensor's place."""

    def __init__(self, graph: Graph) -> None:
        try:
            import onnx
        except ModuleNotFoundError:
            raise Unsupported("ONNX conversion needs onnx: pip install 'lykeion[engines]'") from None
        self.onnx, self.graph = onnx, graph
        self.integer = precision(graph) in ("int8", "uint8", "int16")
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.values: dict[int, str] = {}

    def write(self) -> bytes:
        graph = self.graph
        inputs = [self._input(*each) for each in zip(graph.inputs, graph.input_names, strict=True)]
        for operator in graph.operators:
            result = _WRITERS[operator.kind](self, operator)
            place = operator.outputs[0]
            self.values[place] = self._requantized(result, graph.tensors[place])
        outputs = [self._output(*each) for each in zip(graph.outputs, graph.output_names, strict=True)]
        helper = self.onnx.helper
        made = helper.make_model(
            helper.make_graph(self.nodes, "main", inputs, outputs, self.initializers),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lykeion",
        )
        return made.SerializeToString()

    def tensor(self, place: int) -> Tensor:
        return self.graph.tensors[place]

    def value(self, place: int) -> str:
        """The real numbers of a tensor, those of a constant turned as all tensors of four axes are."""
        if place not in self.values:
            tensor = self.tensor(place)
            if tensor.constant is None:
                raise self.unsupported(f"tensor {tensor.name!r} is read before it is written")
            order = _TO_NCHW if tensor.constant.ndim == 4 else tuple(range(tensor.constant.ndim))
            self.values[place] = self.constant(tensor, order)
        return self.values[place]

    def constant(self, tensor: Tensor, order: Sequence[int], shape: Sequence[int] | None = None) -> str:
        """A constant's real numbers, its axes in another order, perhaps in a shape that keeps the quantized axis."""
        if tensor.constant is None:
            raise ValueError(f"tensor {tensor.name!r} is not constant")
        values = tensor.constant.transpose(order)
        axis = list(order).index(tensor.quantization.axis) if tensor.quantization and order else 0
        if tensor.quantization and not self.integer:
            values = _real(values, tensor.quantization, axis)
        values = values if shape is None else values.reshape(shape)
        if values.dtype.kind == "f" or tensor.quantization is None:
            return self.keep(values.astype(np.float32))
        return self._dequantized(self.keep(values), tensor.quantization, values.dtype, axis)

    def keep(self, values: np.ndarray) -> str:
        name = f"constant{len(self.initializers)}"
        self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node of one output, whose name it gives."""
        output = f"{kind}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def rank(self, place: int) -> int:
        return len(self.tensor(place).shape)

    def activated(self, value: str, function: int, output: int) -> str:
        """After the activation that LiteRT fuses into the operator of this output; left out where the output's
        integers end there anyway, since runtimes fuse what is left better."""
        kind, tensor = tfl.ActivationFunctionType, self.tensor(output)
        match function:
            case kind.NONE:
                return value
            case kind.RELU if _clamps(tensor, 0, np.inf):
                return value
            case kind.RELU6 if _clamps(tensor, 0, 6):
                return value
            case kind.RELU:
                return self.node("Relu", [value])
            case kind.RELU6:
                return self.node(
                    "Clip", [value, self.keep(np.array(0, np.float32)), self.keep(np.array(6, np.float32))]
                )
            case _:
                raise self.unsupported(f"fused activation {function}")

    def rows(self, place: int, width: int) -> str:
        """A tensor as (rows, width), in LiteRT's order of elements."""
        value, shape = self.value(place), self.tensor(place).shape
        if len(shape) == 4 and shape[1:3] != (1, 1):
            value = self.node("Transpose", [value], perm=_TO_NHWC)
        return self.node("Reshape", [value, self.keep(np.array([-1, width], np.int64))])

    def unsupported(self, what: str) -> Unsupported:
        return Unsupported(f"{self.graph.name}: ONNX conversion does not know {what}")

    def _input(self, place: int, name: str) -> Any:
        tensor, value = self.tensor(place), name
        if len(tensor.shape) == 4:
            value = self.node("Transpose", [value], perm=_TO_NCHW)
        if tensor.quantization:
            value = self._dequantized(value, tensor.quantization, tensor.dtype)
        self.values[place] = value
        return self._described(tensor, name)

    def _output(self, place: int, name: str) -> Any:
        tensor, value = self.tensor(place), self.value(place)
        if tensor.quantization:
            value = self._quantized(value, tensor)
        turn = len(tensor.shape) == 4
        kind, attributes = ("Transpose", {"perm": _TO_NHWC}) if turn else ("Identity", {})
        self.nodes.append(self.onnx.helper.make_node(kind, [value], [name], **attributes))
        return self._described(tensor, name)

    def _described(self, tensor: Tensor, name: str) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(tensor.dtype)
        shape = ["batch", *tensor.shape[1:]]
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def _requantized(self, value: str, tensor: Tensor) -> str:
        """What is left of real numbers in an integer tensor."""
        if tensor.quantization is None:
            return value
        return self._dequantized(self._quantized(value, tensor), tensor.quantization, tensor.dtype)

    def _quantized(self, value: str, tensor: Tensor) -> str:
        return self.node("QuantizeLinear", [value, *self._grid(tensor.quantization, tensor.dtype)])

    def _dequantized(self, value: str, quantization: Quantization, dtype: np.dtype, axis: int = 0) -> str:
        return self.node("DequantizeLinear", [value, *self._grid(quantization, dtype)], axis=axis)

    def _grid(self, quantization: Quantization | None, dtype: np.dtype) -> tuple[str, str]:
        if quantization is None:
            raise ValueError("an integer tensor without a scale")
        each = quantization.scales.size > 1
        scales, zeros = quantization.scales, quantization.zero_points.astype(dtype)
        return self.keep(scales if each else scales[0]), self.keep(zeros if each else zeros[0])


def _real(values: np.ndarray, quantization: Quantization, axis: int) -> np.ndarray:
    """Where no integers are computed with, weights kept as such are real from the start."""
    along = [1] * values.ndim
    along[axis] = -1
    scales, zeros = (
        each.reshape(along if each.size > 1 else ()) for each in (quantization.scales, quantization.zero_points)
    )
    return ((values.astype(np.float32) - zeros.astype(np.float32)) * scales).astype(np.float32)


def _clamps(tensor: Tensor, low: float, high: float) -> bool:
    """Whether an integer tensor cannot hold what lies a step outside these bounds, so that it clips by itself."""
    if tensor.quantization is None:
        return False
    scale, zero = float(tensor.quantization.scales[0]), int(tensor.quantization.zero_points[0])
    ends = np.iinfo(tensor.dtype)
    return scale * (ends.min - zero) > low - scale / 2 and scale * (ends.max - zero) < high + scale / 2


def _convolution(writer: _Writer, operator: Operator) -> str:
    options, (source, kernel) = operator.options, operator.inputs[:2]
    weights = writer.tensor(kernel)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    # (out, height, width, in) and (1, height, width, out) to (out, in or 1, height, width)
    order, groups = ((3, 0, 1, 2), writer.tensor(source).shape[3]) if depthwise else (_TO_NCHW, 1)
    if weights.constant is not None:
        value = writer.constant(weights, order)
    else:  # dequantized in the graph, and turned as a map
        value = writer.value(kernel)
        value = writer.node("Transpose", [value], perm=(1, 0, 2, 3)) if depthwise else value
    inputs = [writer.value(source), value]
    inputs += [writer.value(operator.inputs[2])] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else []
    window, dilations = weights.shape[1:3], (options.dilationHFactor, options.dilationWFactor)
    strides = (options.strideH, options.strideW)
    result = writer.node(
        "Conv",
        inputs,
        group=groups,
        kernel_shape=window,
        strides=strides,
        dilations=dilations,
        pads=_pads(writer, source, window, strides, dilations, options.padding),
    )
    return writer.activated(result, options.fusedActivationFunction, operator.outputs[0])


def _pads(
    writer: _Writer,
    source: int,
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: int,
) -> list[int]:
    """Tops and lefts, bottoms and rights; of an odd number the larger part comes last, as TensorFlow has it."""
    before, after = [], []
    for axis in (0, 1):
        size, reach = writer.tensor(source).shape[1 + axis], (window[axis] - 1) * dilations[axis] + 1
        missing = 0
        if padding == tfl.Padding.SAME:
            if size < 0:
                raise writer.unsupported("padding of maps whose size is open")
            missing = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return before + after


def _dense(writer: _Writer, operator: Operator) -> str:
    source, kernel = operator.inputs[:2]
    width = writer.tensor(kernel).shape[1]
    if operator.options.keepNumDims and writer.rank(source) != 2:
        raise writer.unsupported("a dense layer that keeps more than two axes")
    inputs = [writer.rows(source, width) if writer.rank(source) != 2 else writer.value(source), writer.value(kernel)]
    inputs += [writer.value(operator.inputs[2])] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else []
    return writer.activated(
        writer.node("Gemm", inputs, transB=1), operator.options.fusedActivationFunction, operator.outputs[0]
    )


def _elementwise(kind: str) -> "Callable[[_Writer, Operator], str]":
    def write(writer: _Writer, operator: Operator) -> str:
        rank = writer.rank(operator.outputs[0])
        values = []
        for place in operator.inputs:
            tensor = writer.tensor(place)
            if rank == 4 and len(tensor.shape) not in (0, 4):
                if tensor.constant is None or len(tensor.shape) != 1:
                    raise writer.unsupported(f"{operator.kind} of tensors with {len(tensor.shape)} and 4 axes")
                values.append(writer.constant(tensor, (0,), (-1, 1, 1)))
            else:
                values.append(writer.value(place))
        fused = getattr(operator.options, "fusedActivationFunction", tfl.ActivationFunctionType.NONE)
        return writer.activated(writer.node(kind, values), fused, operator.outputs[0])

    return write


def _alone(kind: str, **attributes: Any) -> "Callable[[_Writer, Operator], str]":
    return lambda writer, operator: writer.node(kind, [writer.value(operator.inputs[0])], **attributes)


def _mean(writer: _Writer, operator: Operator) -> str:
    source, axes = operator.inputs[0], writer.tensor(operator.inputs[1]).constant
    rank = writer.rank(source)
    places = sorted(int(axis) % rank for axis in np.atleast_1d(axes)) if axes is not None else []
    if rank != 4 or places != [1, 2]:
        raise writer.unsupported("MEAN over other axes than height and width")
    pooled = writer.node("GlobalAveragePool", [writer.value(source)])
    return pooled if operator.options.keepDims else writer.node("Flatten", [pooled])


def _pool(kind: str) -> "Callable[[_Writer, Operator], str]":
    def write(writer: _Writer, operator: Operator) -> str:
        options, source = operator.options, operator.inputs[0]
        window, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
        result = writer.node(
            kind,
            [writer.value(source)],
            kernel_shape=window,
            strides=strides,
            pads=_pads(writer, source, window, strides, (1, 1), options.padding),
        )
        return writer.activated(result, options.fusedActivationFunction, operator.outputs[0])

    return write


def _last_axis(kind: str) -> "Callable[[_Writer, Operator], str]":
    def write(writer: _Writer, operator: Operator) -> str:
        source = operator.inputs[0]
        return writer.node(kind, [writer.value(source)], axis=1 if writer.rank(source) == 4 else -1)

    return write


def _softmax(writer: _Writer, operator: Operator) -> str:
    if operator.options.beta != 1:
        raise writer.unsupported(f"SOFTMAX with beta {operator.options.beta}")
    return _last_axis("Softmax")(writer, operator)


def _reshape(writer: _Writer, operator: Operator) -> str:
    source, shape = operator.inputs[0], writer.tensor(operator.outputs[0]).shape
    if len(shape) == 2:
        return writer.rows(source, shape[1])
    if len(shape) == 4 and shape[1:3] == (1, 1):
        value = writer.rows(source, shape[3])
        return writer.node("Reshape", [value, writer.keep(np.array([-1, shape[3], 1, 1], np.int64))])
    raise writer.unsupported(f"{operator.kind} to {len(shape)} axes")


def _pad(writer: _Writer, operator: Operator) -> str:
    source, amounts = operator.inputs[0], writer.tensor(operator.inputs[1]).constant
    if amounts is None or writer.rank(source) != 4:
        raise writer.unsupported("PAD other than of maps by constant amounts")
    turned = amounts[list(_TO_NCHW)].astype(np.int64)
    return writer.node("Pad", [writer.value(source), writer.keep(turned.T.reshape(-1))])


def _concatenate(writer: _Writer, operator: Operator) -> str:
    rank = writer.rank(operator.outputs[0])
    axis = operator.options.axis % rank
    values = [writer.value(place) for place in operator.inputs]
    return writer.node("Concat", values, axis=_AXIS_NCHW[axis] if rank == 4 else axis)


_WRITERS: "dict[str, Callable[[_Writer, Operator], str]]" = {
    "ADD": _elementwise("Add"),
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "CONCATENATION": _concatenate,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": lambda writer, operator: writer.value(operator.inputs[0]),
    "DIV": _elementwise("Div"),
    "FULLY_CONNECTED": _dense,
    "HARD_SWISH": _alone("HardSwish"),
    "L2_NORMALIZATION": _last_axis("LpNormalization"),
    "LOGISTIC": _alone("Sigmoid"),
    "MAXIMUM": _elementwise("Max"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _mean,
    "MINIMUM": _elementwise("Min"),
    "MUL": _elementwise("Mul"),
    "PAD": _pad,
    "QUANTIZE": lambda writer, operator: writer.value(operator.inputs[0]),
    "RELU": _alone("Relu"),
    "RELU6": lambda writer, operator: writer.activated(
        writer.value(operator.inputs[0]), tfl.ActivationFunctionType.RELU6, operator.outputs[0]
    ),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "SQUEEZE": _reshape,
    "SUB": _elementwise("Sub"),
    "TANH": _alone("Tanh"),
}
