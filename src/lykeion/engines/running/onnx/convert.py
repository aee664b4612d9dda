"""From a LiteRT file to ONNX, for the operators that photo networks are made of, float or integer.

Maps are (n, height, width, channels) in LiteRT and (n, channels, height, width) in ONNX: inside the graph every
tensor of four axes is turned, inputs and outputs are as they were. An integer tensor becomes the pair QuantizeLinear,
DequantizeLinear around operators on real numbers (ONNX' "QDQ" form), which runtimes fuse to integer kernels. Written
for opset 21, since 16-bit activations need it.
"""

from lykeion.core import Unsupported, first_line
from lykeion.litert import Graph, ModelError, read_graph

from .onnx_operators import OPERATORS
from .onnx_writer import OnnxWriter


def to_onnx(model: bytes, name: str = "model") -> bytes:
    """The ONNX file of a ``.tflite`` file. Raises ModelError; Unsupported, which names what is lacking."""
    return graph_to_onnx(read_graph(model, name))


def graph_to_onnx(graph: Graph) -> bytes:
    """The same of a graph that was read."""
    if lacking := sorted({operator.kind for operator in graph.operators} - OPERATORS.keys()):
        raise Unsupported(f"{graph.name}: ONNX conversion lacks {', '.join(lacking)}")
    writer = OnnxWriter(graph)
    try:
        return writer.write(OPERATORS)
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ModelError(f"{graph.name}: not a valid LiteRT model: {first_line(error)}") from None
