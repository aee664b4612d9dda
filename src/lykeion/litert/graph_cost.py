"""The cost of one run of a graph, and its numeric precision."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from .errors import ModelError
from .graph import Graph

Shape: TypeAlias = Sequence[int]


@dataclass(frozen=True, slots=True)
class GraphCost:
    """Of one run on one photo: multiply-adds of convolutions, dense layers and products of matrices, and bytes of
    constants and of tensors that operators read and write."""

    multiply_adds: int
    constant_bytes: int
    moved_bytes: int


def precision(graph: Graph) -> str:
    """float32; int8, where activations are 8-bit integers; int16 likewise; else how the weights are stored:
    "int8 weights", "float16 weights"."""
    computed = {graph.tensors[place].dtype.name for operator in graph.operators for place in operator.outputs}
    for integers in ("int8", "uint8", "int16"):
        if integers in computed:
            return integers
    weights = {
        tensor.dtype.name for tensor in graph.tensors if tensor.constant is not None and tensor.constant.ndim > 1
    }
    for narrow in ("int8", "float16"):
        if narrow in weights:
            return f"{narrow} weights"
    return "float32"


def cost(graph: Graph) -> GraphCost:
    """The cost of one run on one photo, counted from the graph. Raises ModelError where an operator lacks
    operands."""
    multiply_adds = moved = 0
    for operator in graph.operators:
        places = [place for place in operator.inputs if place >= 0]
        moved += sum(
            _elements(graph.tensors[place].shape) * graph.tensors[place].dtype.itemsize
            for place in (*places, *operator.outputs)
            if graph.tensors[place].constant is None
        )
        if operator.kind in _MULTIPLY_ADDS:
            try:
                multiply_adds += _MULTIPLY_ADDS[operator.kind](
                    [graph.tensors[place].shape for place in operator.inputs],
                    graph.tensors[operator.outputs[0]].shape,
                    operator.options,
                )
            except (IndexError, AttributeError):
                raise ModelError(
                    f"{graph.name}: not a valid LiteRT model: a {operator.kind} lacks operands"
                ) from None
    constants = sum(tensor.constant.nbytes for tensor in graph.tensors if tensor.constant is not None)
    first = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    photos = max((1, *first[:1]))  # a batch may be fixed
    return GraphCost(multiply_adds // photos, constants, moved // photos)


def _convolution(inputs: Sequence[Shape], output: Shape, _: Any) -> int:
    """Kernels are (out, …, in) in CONV_2D and FULLY_CONNECTED; of grouped ones in is that of a group."""
    return _elements(output) * _elements(inputs[1][1:])


def _depthwise(inputs: Sequence[Shape], output: Shape, _: Any) -> int:
    """The kernel is (1, height, width, out)."""
    return _elements(output) * _elements(inputs[1][1:3])


def _convolution_3d(inputs: Sequence[Shape], output: Shape, _: Any) -> int:
    """The kernel is (depth, height, width, in, out)."""
    return _elements(output) * _elements(inputs[1][:-1])


def _transposed(inputs: Sequence[Shape], _: Shape, __: Any) -> int:
    """Each number of the input meets the whole kernel, (…, in), of its channel."""
    return _elements(inputs[2]) * _elements(inputs[1][:-1])


def _matrices(inputs: Sequence[Shape], output: Shape, options: Any) -> int:
    return _elements(output) * max(inputs[0][-2 if options.adjX else -1], 1)


_MULTIPLY_ADDS: Mapping[str, Callable[[Sequence[Shape], Shape, Any], int]] = {
    "BATCH_MATMUL": _matrices,
    "CONV_2D": _convolution,
    "CONV_3D": _convolution_3d,
    "CONV_3D_TRANSPOSE": _transposed,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _convolution,
    "TRANSPOSE_CONV": _transposed,
}


def _elements(shape: Shape) -> int:
    return prod(max(size, 1) for size in shape)
