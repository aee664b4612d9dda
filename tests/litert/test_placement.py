"""Where constants lie in a file, so that a package keeps every byte."""

import numpy as np
import pytest

from lykeion.litert import placed_graphs, read_graph

from .files import quantized, with_constants_behind


@pytest.mark.parametrize("behind", [False, True], ids=["inside", "behind the flatbuffer"])
def test_the_bytes_at_a_constants_offset_are_the_constant(model: bytes, behind: bool) -> None:
    file = with_constants_behind(model) if behind else model
    (graph,) = placed_graphs(file)
    found = {tensor.name: tensor.content for tensor in graph.tensors if tensor.content}
    expected = {tensor.name: tensor.constant for tensor in read_graph(file).tensors if tensor.constant is not None}
    assert found.keys() == expected.keys()
    for name, placed in found.items():
        data = expected[name].tobytes()
        assert placed.values.tobytes() == file[placed.offset : placed.offset + len(data)] == data


def test_the_bytes_at_the_offset_of_scales_are_the_scales(model: bytes) -> None:
    pytest.importorskip("ai_edge_quantizer")
    file = quantized(model, "static_wi8_ai8", (16, 16, 3))
    (graph,) = placed_graphs(file)
    for placed, tensor in zip(graph.tensors, read_graph(file).tensors, strict=True):
        assert (placed.scales is None) == (tensor.quantization is None)
        if placed.scales and tensor.quantization:
            scales = np.frombuffer(file, "<f4", len(placed.scales.values), placed.scales.offset)
            assert tuple(scales) == tensor.quantization.scales
