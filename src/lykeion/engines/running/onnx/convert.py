"""Conversion of LiteRT files to ONNX, for the operators of photo networks, float or integer.

Feature maps are (n, height, width, channels) in LiteRT and (n, channels, height, width) in ONNX: inside the graph
every tensor of four axes is transposed, inputs and outputs are unchanged. An integer tensor becomes the pair
QuantizeLinear, DequantizeLinear around operators on real numbers (ONNX's "QDQ" form), which runtimes fuse to integer
kernels. Written for opset 21, which 16-bit activations require.
"""

from lykeion.core import Unsupported, first_line
from lykeion.litert import Graph, ModelError, read_graph

from .onnx_operators import OPERATORS
from .onnx_writer import OnnxWriter


def to_onnx(model: bytes, name: str = "model") -> bytes:
    """The ONNX file of a ``.tflite`` file. Raises ModelError; Unsupported, which names what is not supported."""
    return graph_to_onnx(read_graph(model, name))


def graph_to_onnx(graph: Graph) -> bytes:
    """The same for a graph that is already read."""
    if lacking := sorted({operator.kind for operator in graph.operators} - OPERATORS.keys()):
        raise Unsupported(f"{graph.name}: ONNX conversion lacks {', '.join(lacking)}")
    writer = OnnxWriter(graph)
    try:
        return writer.write(OPERATORS)
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ModelError(f"{graph.name}: not a valid LiteRT model: {first_line(error)}") from None
