"""The LiteRT file format: reading a file's graph as plain data, and writing it.

The file is a flatbuffer of the TensorFlow Lite schema (identifier TFL3, schema version 3).
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .errors import ModelError
    from .graph import Graph, Operator, Quantization, Tensor
    from .graph_cost import GraphCost, cost, precision
    from .placement import Placed, PlacedGraph, PlacedTensor, placed_graphs
    from .reading import read_graph
    from .writing import Constant, GraphWriter, with_metadata

__all__ = [
    "Constant", "Graph", "GraphCost", "GraphWriter", "ModelError", "Operator", "Placed", "PlacedGraph",
    "PlacedTensor", "Quantization", "Tensor", "cost", "placed_graphs", "precision", "read_graph", "with_metadata",
]  # fmt: skip
__getattr__ = lazy(__name__)
