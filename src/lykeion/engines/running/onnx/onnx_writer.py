"""Building an ONNX graph: tensors transposed to ONNX's order, constants, nodes, and the pairs for integer tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported
from lykeion.litert import Graph, Operator, Quantization, Tensor, precision

OPSET, IR_VERSION = 21, 10
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


class OnnxWriter:
    """``values`` holds the ONNX name of each tensor's real numbers, by the tensor's index."""

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

    def write(self, operators: "Mapping[str, Callable[[OnnxWriter, Operator], str]]") -> bytes:
        """``operators``: by kind, the function that adds an operator's nodes and returns the name of their output."""
        graph = self.graph
        inputs = [self._input(*each) for each in zip(graph.inputs, graph.input_names, strict=True)]
        for operator in graph.operators:
            result = operators[operator.kind](self, operator)
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
        """The real numbers of a tensor; a constant is transposed like all tensors of four axes."""
        if place not in self.values:
            tensor = self.tensor(place)
            if tensor.constant is None:
                raise self.unsupported(f"tensor {tensor.name!r} is read before it is written")
            order = TO_NCHW if tensor.constant.ndim == 4 else tuple(range(tensor.constant.ndim))
            self.values[place] = self.constant(tensor, order)
        return self.values[place]

    def constant(self, tensor: Tensor, order: Sequence[int], shape: Sequence[int] | None = None) -> str:
        """A constant's real numbers, its axes in this order, optionally in a shape that keeps the quantized axis."""
        if tensor.constant is None:
            raise ValueError(f"tensor {tensor.name!r} is not constant")
        values = tensor.constant.transpose(order)
        axis = list(order).index(tensor.quantization.axis) if tensor.quantization and order else 0
        # Networks with 16-bit activations have 64-bit biases, which ONNX cannot dequantize.
        if tensor.quantization and not (self.integer and values.dtype != np.int64):
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
        """Adds a node with one output and returns the output's name."""
        output = f"{kind}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def rank(self, place: int) -> int:
        return len(self.tensor(place).shape)

    def activated(self, value: str, function: int, output: int) -> str:
        """The value after the activation that LiteRT fuses into the operator of this output; omitted if the output's
        integers clip there anyway, since runtimes then fuse the rest better."""
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
            value = self.node("Transpose", [value], perm=TO_NHWC)
        return self.node("Reshape", [value, self.keep(np.array([-1, width], np.int64))])

    def unsupported(self, what: str) -> Unsupported:
        return Unsupported(f"{self.graph.name}: ONNX conversion does not know {what}")

    def _input(self, place: int, name: str) -> Any:
        tensor, value = self.tensor(place), name
        if len(tensor.shape) == 4:
            value = self.node("Transpose", [value], perm=TO_NCHW)
        if tensor.quantization:
            value = self._dequantized(value, tensor.quantization, tensor.dtype)
        self.values[place] = value
        return self._described(tensor, name)

    def _output(self, place: int, name: str) -> Any:
        tensor, value = self.tensor(place), self.value(place)
        if tensor.quantization:
            value = self._quantized(value, tensor)
        turn = len(tensor.shape) == 4
        kind, attributes = ("Transpose", {"perm": TO_NHWC}) if turn else ("Identity", {})
        self.nodes.append(self.onnx.helper.make_node(kind, [value], [name], **attributes))
        return self._described(tensor, name)

    def _described(self, tensor: Tensor, name: str) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(tensor.dtype)
        shape = ["batch", *tensor.shape[1:]]
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def _requantized(self, value: str, tensor: Tensor) -> str:
        """The real numbers after rounding to an integer tensor."""
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
        scales, zeros = quantization.along(1 if len(quantization.scales) > 1 else 0, 0)
        return self.keep(scales), self.keep(zeros.astype(dtype))


def _real(values: np.ndarray, quantization: Quantization, axis: int) -> np.ndarray:
    """Dequantized constants, where the graph does not compute with integers."""
    scales, zeros = quantization.along(values.ndim, axis)
    return ((values.astype(np.float64) - zeros) * scales).astype(np.float32)


def _clamps(tensor: Tensor, low: float, high: float) -> bool:
    """Whether an integer tensor cannot hold values a step outside these bounds, so that it clips by itself."""
    if tensor.quantization is None:
        return False
    scale, zero = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    ends = np.iinfo(tensor.dtype)
    return scale * (ends.min - zero) > low - scale / 2 and scale * (ends.max - zero) < high + scale / 2
