import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Unsupported
from lykeion.engines import LiteRTEngine, ModelError
from lykeion.engines.running import specs
from lykeion.litert import cost, precision, read_graph, with_metadata
from lykeion.litert.writing import AlignedBuilder
from lykeion.nets import count
from tests.engines.conftest import TINY

from .files import quantized, with_constants_behind


def test_a_graph_is_what_the_file_holds(model: bytes) -> None:
    graph = read_graph(model)
    engine = LiteRTEngine(model)
    assert specs(graph) == (engine.inputs, engine.outputs)
    assert precision(graph) == "float32"
    logits = 8 * 4  # which this file leaves out
    assert cost(graph).multiply_adds == count(TINY).multiply_adds - logits


@pytest.mark.parametrize(
    ("recipe", "says"),
    [("static_wi8_ai8", "int8"), ("dynamic_wi8_afp32", "int8 weights"), ("weight_only_wi8_afp32", "int8 weights")],
)
def test_constants_behind_the_flatbuffer_are_found_and_brought_in(model: bytes, recipe: str, says: str) -> None:
    pytest.importorskip("ai_edge_quantizer")
    small = with_constants_behind(quantized(model, recipe, (16, 16, 3)))
    graph, whole = read_graph(small), with_metadata(small, [("note", b"hello")])
    assert precision(graph) == says
    assert cost(read_graph(whole)) == cost(graph)
    batch = specs(graph)[0][0].encode(np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32))
    np.testing.assert_array_equal(*(next(iter(LiteRTEngine(each).run(batch).values())) for each in (small, whole)))


def test_a_sound_file_that_is_not_read_says_what_it_has(model: bytes) -> None:
    parsed = tfl.ModelT.InitFromPackedBuf(model)
    parsed.subgraphs[0].tensors[1].type = tfl.TensorType.INT4
    builder = AlignedBuilder(1 << 16)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    with pytest.raises(Unsupported, match=r"shoes: tensor .* is of type INT4"):
        read_graph(bytes(builder.Output()), "shoes")


def test_metadata_replaces_its_own_name_only(model: bytes) -> None:
    again = with_metadata(with_metadata(model, [("a", b"1"), ("b", b"2")]), [("a", b"3")])
    parsed = tfl.ModelT.InitFromPackedBuf(again)
    found = {entry.name: bytes(parsed.buffers[entry.buffer].data) for entry in parsed.metadata}
    assert found == {b"a": b"3", b"b": b"2"}


@given(st.data())
def test_a_truncated_file_is_an_error_of_one_line(model: bytes, data: st.DataObject) -> None:
    part = model[: data.draw(st.integers(0, len(model) // 2))]
    with pytest.raises(ModelError, match=r"bad\.tflite: ") as caught:
        read_graph(part, "bad.tflite")
    assert "\n" not in str(caught.value)
