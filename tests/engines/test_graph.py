from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Unsupported
from lykeion.core.flatbuffer import AlignedBuilder
from lykeion.engines import LiteRTEngine, ModelError
from lykeion.engines.energy import Rapl, modelled
from lykeion.engines.graph import cost, precision, read_graph, specs, with_metadata
from lykeion.nets import count

from .conftest import TINY
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


def test_energy_is_counted_from_operations_and_bytes() -> None:
    energy = modelled(10**6, 10**3, 10**4, "float32")
    assert energy.compute_uj == pytest.approx(4.6)
    assert energy.weights_uj == pytest.approx(0.1625)
    assert energy.activations_uj == pytest.approx(0.125)
    assert modelled(10**6, 0, 0, "int8").total_uj == pytest.approx(0.3)


def test_counters_that_begin_anew_are_read_right(tmp_path: Path) -> None:
    package = tmp_path / "intel-rapl:0"
    (package / "intel-rapl:0:0").mkdir(parents=True)
    (package / "max_energy_range_uj").write_text("999\n")
    (package / "energy_uj").write_text("990\n")
    rapl = Rapl(tmp_path)
    assert rapl.readable
    assert rapl.measure_uj(lambda: (package / "energy_uj").write_text("40\n"), 0) == 50
    assert not Rapl(tmp_path / "none").readable
