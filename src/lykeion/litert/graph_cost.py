"""What one run of a graph costs, and in which numbers it computes."""

from dataclasses import dataclass
from math import prod

from .errors import ModelError
from .graph import Graph, Tensor


@dataclass(frozen=True, slots=True)
class GraphCost:
    """Of one run on one photo: multiply-adds of convolutions and dense layers, and bytes of constants and of tensors
    that operators read and write."""

    multiply_adds: int
    constant_bytes: int
    moved_bytes: int


def precision(graph: Graph) -> str:
    """float32; int8, where activations are 8-bit integers; int16 likewise; else what the weights are kept in:
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
    """What one run on one photo costs, counted from the graph. Raises ModelError where an operator lacks operands."""
    multiply_adds = moved = 0
    for operator in graph.operators:
        places = [place for place in operator.inputs if place >= 0]
        moved += sum(
            _elements(graph.tensors[place]) * graph.tensors[place].dtype.itemsize
            for place in (*places, *operator.outputs)
            if graph.tensors[place].constant is None
        )
        if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            if len(operator.inputs) < 2 or not operator.outputs:
                raise ModelError(f"{graph.name}: not a sound LiteRT model: a {operator.kind} lacks operands")
            kernel = graph.tensors[operator.inputs[1]].shape
            output = _elements(graph.tensors[operator.outputs[0]])
            inside = prod(kernel[1:3]) if operator.kind == "DEPTHWISE_CONV_2D" else prod(kernel[1:])
            multiply_adds += output * inside
    constants = sum(tensor.constant.nbytes for tensor in graph.tensors if tensor.constant is not None)
    return GraphCost(multiply_adds, constants, moved)


def _elements(tensor: Tensor) -> int:
    return prod(max(size, 1) for size in tensor.shape)
