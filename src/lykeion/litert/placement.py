"""The offsets of constants and scales in a LiteRT file.

Like ``read_graph`` this trusts the lengths in the file: try untrusted files in a separate process first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from .reading import DTYPES, MARK, text_of


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Part of a file: ``values`` is a view of it, which begins at ``offset``."""

    offset: int
    values: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class PlacedTensor:
    """``content``, uint8, is None but for the first tensor of a constant; ``scales`` is float32. ``dtype`` is None
    for a type that is not read here."""

    name: str
    dtype: np.dtype | None
    content: Placed | None
    scales: Placed | None


@dataclass(frozen=True, slots=True, eq=False)
class PlacedGraph:
    """``operators`` has the inputs of each as indices of ``tensors``, -1 for an omitted one."""

    tensors: tuple[PlacedTensor, ...]
    operators: tuple[tuple[int, ...], ...]


def placed_graphs(file: bytes) -> Iterator[PlacedGraph]:
    """The subgraphs of a LiteRT file. Raises ValueError, and whatever the schema's generated code raises for a
    damaged file."""
    if file[4:8] != MARK:
        raise ValueError(f"it lacks the mark {MARK.decode()}")
    root: Any = tfl.Model.GetRootAs(file, 0)
    whole = np.frombuffer(file, np.uint8)
    met: set[int] = set()
    for graph in map(root.Subgraphs, range(root.SubgraphsLength())):
        tensors = [_tensor(root, tensor, whole, met) for tensor in map(graph.Tensors, range(graph.TensorsLength()))]
        operators = map(graph.Operators, range(graph.OperatorsLength()))
        yield PlacedGraph(
            tuple(tensors),
            tuple(tuple(map(operator.Inputs, range(operator.InputsLength()))) for operator in operators),
        )


def _tensor(root: Any, tensor: Any, whole: np.ndarray, met: set[int]) -> PlacedTensor:
    content, number = None, tensor.Buffer()
    if number not in met:
        met.add(number)
        content = _content(root.Buffers(number), whole)
    given = tensor.Quantization()
    scales = None if given is None or not given.ScaleLength() else _place(given.ScaleAsNumpy(), whole)
    return PlacedTensor(text_of(tensor.Name()), DTYPES.get(tensor.Type()), content, scales)


def _content(buffer: Any, whole: np.ndarray) -> Placed | None:
    if buffer.DataLength():
        return _place(buffer.DataAsNumpy(), whole)
    if not buffer.Size():
        return None
    return Placed(buffer.Offset(), whole[buffer.Offset() : buffer.Offset() + buffer.Size()])  # behind the flatbuffer


def _place(part: np.ndarray, whole: np.ndarray) -> Placed:
    return Placed(part.__array_interface__["data"][0] - whole.__array_interface__["data"][0], part)
