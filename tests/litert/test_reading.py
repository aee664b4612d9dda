import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Unsupported
from lykeion.engines import LiteRTEngine, ModelError
from lykeion.engines.running import specs
from lykeion.litert import cost, precision, read_graph, with_metadata
from lykeion.nets import count
from tests.engines.conftest import TINY

from .files import one_operator, packed, quantized, with_constants_behind

B = tfl.BuiltinOperator


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


def transposed() -> bytes:
    """The shape of its output is its first input."""
    constants = [np.array([1, 8, 8, 5], np.int32), np.ones((5, 2, 2, 3), np.float32)]
    options = tfl.TransposeConvOptionsT(strideH=2, strideW=2)
    parsed = tfl.ModelT.InitFromPackedBuf(one_operator(B.TRANSPOSE_CONV, options, MAP, (1, 8, 8, 5), constants))
    parsed.subgraphs[0].operators[0].inputs = [2, 3, 0]
    return packed(parsed)


MAP = (1, 4, 4, 3)
CONVOLUTION = tfl.Conv2DOptionsT(strideH=1, strideW=1)
MULTIPLIED: dict[str, tuple[bytes, int]] = {
    "a convolution in three groups": (
        one_operator(B.CONV_2D, CONVOLUTION, MAP, (1, 4, 4, 6), [np.ones((6, 3, 3, 1), np.float32)]),
        4 * 4 * 6 * 9,
    ),
    "a convolution of a fixed batch": (
        one_operator(
            B.CONV_2D, CONVOLUTION, (4, 4, 4, 3), (4, 4, 4, 6), [np.ones((6, 3, 3, 3), np.float32)], fixed=True
        ),
        4 * 4 * 6 * 27,
    ),
    "a transposed convolution": (
        transposed(),
        4 * 4 * 3 * (2 * 2 * 5),
    ),
    "a product of matrices": (
        one_operator(B.BATCH_MATMUL, tfl.BatchMatMulOptionsT(), (1, 2, 7), (1, 2, 5), besides=[(1, 7, 5)]),
        2 * 7 * 5,
    ),
    "a product of a turned matrix": (
        one_operator(B.BATCH_MATMUL, tfl.BatchMatMulOptionsT(adjX=True), (1, 7, 2), (1, 2, 5), besides=[(1, 7, 5)]),
        2 * 7 * 5,
    ),
}


@pytest.mark.parametrize("name", MULTIPLIED)
def test_multiply_adds_are_those_of_one_photo(name: str) -> None:
    model, multiply_adds = MULTIPLIED[name]
    assert cost(read_graph(model)).multiply_adds == multiply_adds


def test_a_sound_file_that_is_not_read_says_what_it_has(model: bytes) -> None:
    parsed = tfl.ModelT.InitFromPackedBuf(model)
    parsed.subgraphs[0].tensors[1].type = tfl.TensorType.INT4
    with pytest.raises(Unsupported, match=r"shoes: tensor .* is of type INT4"):
        read_graph(packed(parsed), "shoes")


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
