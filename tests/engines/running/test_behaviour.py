"""What every engine promises. MediaPipe reports its use: it is tested where LYKEION_TEST_MEDIAPIPE is set."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lykeion.compress import litert_file
from lykeion.core import LykeionError
from lykeion.engines import Engine, ModelError
from lykeion.engines.choosing import Agreement, agreement, answers
from lykeion.engines.running import (
    KINDS,
    Kind,
    Trial,
    UnknownEngine,
    encoded,
    find_kind,
    noise,
    try_model,
    try_models,
    usual_kinds,
)
from lykeion.nets import Architecture, Convolution, InvertedResidual, random_weights, write_litert
from tests.compress.making import dense
from tests.compress.making import quantized as in_int8
from tests.litert.files import one_operator, quantized

SMALL = Architecture(
    "small",
    16,
    16,
    (
        Convolution(8, 3, 2, activation="hard-swish"),
        InvertedResidual(48, 8, 3, squeeze=8),
        InvertedResidual(96, 16, 5, 2, activation="relu"),
        Convolution(64, 1),
    ),
    classes=5,
)


def _tested(kind: Kind) -> bool:
    return kind.installed and (kind.name != "mediapipe" or "LYKEION_TEST_MEDIAPIPE" in os.environ)


SUM = one_operator(tfl.BuiltinOperator.ADD, tfl.AddOptionsT(), (1, 2, 2, 3), (1, 2, 2, 3), besides=[(1, 2, 2, 3)])


@pytest.fixture(params=KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    found = KINDS[request.param]
    if not _tested(found):
        pytest.skip(f"{found.name} is not installed, or not asked for")
    return found


@pytest.fixture(scope="module")
def network() -> bytes:
    return write_litert(SMALL, random_weights(SMALL, seed=3), output="logits")


@pytest.fixture(scope="module")
def int8(network: bytes) -> bytes:
    pytest.importorskip("ai_edge_quantizer")
    return quantized(network, "static_wi8_ai8", (16, 16, 3))


@pytest.fixture(scope="module")
def engine(kind: Kind, network: bytes) -> Iterator[Engine]:
    loaded = kind.load(network, name="small.tflite")
    yield loaded
    loaded.close()


def reference(model: bytes) -> Engine:
    return KINDS["litert-builtin"].load(model)


def photos(engine: Engine, count: int) -> np.ndarray:
    return encoded(engine.inputs, noise(engine.inputs, count))[0]


def agreed(engine: Engine, expected: Engine, count: int) -> Agreement:
    """On so many photos of noise."""
    real = noise(expected.inputs, count)
    return agreement(answers(engine, real, count), answers(expected, real, count))


def test_it_says_what_it_takes_and_gives(engine: Engine, kind: Kind) -> None:
    assert (engine.inputs[0].name, engine.inputs[0].shape) == ("image", (-1, 16, 16, 3))
    assert (engine.outputs[0].name, engine.outputs[0].shape) == ("logits", (-1, 5))
    assert engine.inputs[0].dtype == (np.uint8 if kind.name == "mediapipe" else np.float32)
    assert kind.version


def test_it_gives_what_the_plain_kernels_give(engine: Engine, network: bytes) -> None:
    expected = reference(network)
    found = agreed(engine, expected, 7)
    assert found.max_error < 1e-4
    assert found.cosine > 0.99999
    assert found.top1 == 1


def test_a_batch_gives_what_its_photos_give_one_by_one(engine: Engine) -> None:
    batch = photos(engine, 3)
    single = np.concatenate([engine.run(photo[np.newaxis])["logits"] for photo in batch])
    np.testing.assert_allclose(engine.run(batch)["logits"], single, rtol=1e-4, atol=1e-6)


def test_outputs_belong_to_the_caller(engine: Engine) -> None:
    batch = photos(engine, 1)
    first = engine.run(batch)["logits"]
    kept = first.copy()
    engine.run(np.zeros_like(batch))
    np.testing.assert_array_equal(first, kept)


def test_it_can_be_made_ready_for_timing_and_gives_the_same_then(kind: Kind, network: bytes) -> None:
    engine = kind.load(network)
    batch = photos(engine, 1)
    before = engine.run(batch)["logits"].copy()
    run = engine.ready(batch)
    for _ in range(3):
        run()
    np.testing.assert_array_equal(engine.run(batch)["logits"], before)
    engine.close()


def test_each_of_several_inputs_is_set(kind: Kind) -> None:
    if kind.name == "mediapipe":
        with pytest.raises(LykeionError, match="one RGB input"):
            kind.load(SUM)
        return
    engine = kind.load(SUM, name="sum.tflite")
    one, other = (np.full((3, 2, 2, 3), value, np.float32) for value in (1, 4))
    np.testing.assert_array_equal(engine.run(one, other)["y"], one + other)
    run = engine.ready(*encoded(engine.inputs, noise(engine.inputs)))
    run()
    with pytest.raises(ModelError, match=r"sum\.tflite: cannot run on ") as caught:
        engine.run(one)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 17, 16, 3), (16, 16, 3), (0, 16, 16, 3)])
def test_a_wrong_batch_is_an_error_and_the_engine_lives_on(engine: Engine, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"small\.tflite: cannot run on ") as caught:
        engine.run(np.zeros(shape, engine.inputs[0].dtype))
    assert "\n" not in str(caught.value)
    assert engine.run(photos(engine, 2))["logits"].shape == (2, 5)


def test_an_integer_network_stays_within_a_few_steps(kind: Kind, int8: bytes) -> None:
    if kind.name == "mediapipe":
        with pytest.raises(LykeionError, match="MediaPipe"):
            kind.load(int8)
        return
    engine, expected = kind.load(int8), reference(int8)
    assert engine.inputs[0] == expected.inputs[0]
    real = noise(engine.inputs, 16)
    (found,), (wanted,) = (each.run(*encoded(each.inputs, real)).values() for each in (engine, expected))
    assert found.dtype == np.int8
    # OpenVINO: 12 with AVX-512, 14 where a processor has AVX2 alone, whose 8-bit products are summed otherwise.
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 20


@pytest.mark.skipif(not KINDS["onnxruntime"].installed, reason="needs ONNX Runtime")
def test_onnx_runtime_does_not_cut_off_large_products_of_integers() -> None:
    """As x86 without VNNI does with two of them in 16 bits, unless told to be exact."""
    architecture = Architecture("limits", 8, 8, (Convolution(32, 3, 2), Convolution(32, 3)), classes=10)
    model = dense(architecture)
    alike = {name: np.full_like(value, 0.01) for name, value in model.weights.items() if "convolution/kernel" in name}
    file = litert_file(in_int8(replace(model, weights={**model.weights, **alike})))  # all weights are 127
    bright = np.random.default_rng(0).uniform(0.5, 1, (32, 8, 8, 3)).astype(np.float32)
    found, wanted = (answers(KINDS[name].load(file), [bright]) for name in ("onnxruntime", "litert"))
    assert agreement(found, wanted).max_error < 0.1


@pytest.mark.parametrize("recipe", ["dynamic_wi8_afp32", "weight_only_wi8_afp32"])
def test_a_network_of_integer_weights_runs_or_is_refused_in_one_line(kind: Kind, network: bytes, recipe: str) -> None:
    pytest.importorskip("ai_edge_quantizer")
    model = quantized(network, recipe, (16, 16, 3))
    if kind.module == "openvino" and recipe.startswith("weight_only"):
        with pytest.raises(ModelError, match=r"weights\.tflite: OpenVINO cannot load it: ") as caught:
            kind.load(model, name="weights.tflite")
        assert "\n" not in str(caught.value)
        return
    engine = kind.load(model, name="weights.tflite")
    expected = reference(network)
    assert agreed(engine, expected, 8).cosine > 0.98
    engine.close()


@pytest.mark.parametrize("keep", [0, 9, 700, 0.5])
def test_a_damaged_file_is_an_error_of_one_line(kind: Kind, network: bytes, keep: float) -> None:
    part = network[: keep if isinstance(keep, int) else int(keep * len(network))]
    with pytest.raises(LykeionError, match=r"bad\.tflite") as caught:
        kind.load(part, name="bad.tflite")
    assert "\n" not in str(caught.value)


def test_threads_do_not_change_the_answer(kind: Kind, network: bytes) -> None:
    if not kind.threads:
        with pytest.raises(LykeionError, match="threads"):
            kind.load(network, threads=2)
        return
    one, two = kind.load(network), kind.load(network, threads=2)
    assert agreed(two, one, 2).max_error < 1e-4


@pytest.mark.parametrize("name", ["litert", "onnxruntime"])
def test_a_first_run_tells_times_and_memory(name: str, network: bytes) -> None:
    if not KINDS[name].installed:
        pytest.skip(f"{name} is not installed")
    first = try_model(network, "small.tflite", kind=name)
    assert first.load_ms > 0
    assert first.run_ms > 0
    assert first.memory_bytes >= 0


@pytest.mark.slow
def test_a_model_that_crashes_a_trial_spoils_no_other(
    network: bytes, model: bytes, changed: Callable[[Callable[[Any], None]], bytes]
) -> None:
    def drop_bias(parsed: Any) -> None:
        for operator in parsed.subgraphs[0].operators:
            if type(operator.builtinOptions).__name__ == "DepthwiseConv2DOptionsT":
                operator.inputs = list(operator.inputs)[:2]

    crashes = changed(drop_bias)
    trials = [
        Trial("good", network, (1, 2)),
        Trial("evil", crashes),
        Trial("bad", b"PK"),
        Trial("evil too", crashes),
        Trial("fine", model),
    ]
    good, evil, bad, evil_too, fine = try_models(trials, "litert")
    assert isinstance(good, tuple)
    assert [run.rough_ms > 0 for run in good] == [True, True]
    assert isinstance(fine, tuple)
    assert "evil: the model crashes LiteRT (SIG" in str(evil)
    assert "bad: not a LiteRT model" in str(bad)
    assert "evil too: the model crashes" in str(evil_too)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_times_of_operators_are_told(name: str, network: bytes) -> None:
    if not KINDS[name].installed:
        pytest.skip(f"{name} is not installed")
    engine = KINDS[name].load(network)
    times = KINDS[name].operator_times(network, [photos(engine, 1)], 3)
    assert any("Conv" in each.kind for each in times)
    assert all(each.mean_ms >= 0 for each in times)


def test_what_an_engine_lacks_is_one_line(network: bytes) -> None:
    with pytest.raises(LykeionError, match="litert does not tell the times of single operators"):
        KINDS["litert"].operator_times(network, [np.zeros((1, 16, 16, 3), np.float32)], 1)
    missing = Kind("other", "", "other", "Other", ("no_such_package",), "engines")
    assert not missing.installed
    with pytest.raises(LykeionError, match=r"other needs no_such_package: pip install 'lykeion\[engines\]'"):
        missing.load(network)
    with pytest.raises(UnknownEngine, match="no engine is called 'fast'; there are litert"):
        find_kind("fast")


def test_an_engine_that_reports_its_use_is_never_usual() -> None:
    assert "mediapipe" not in {kind.name for kind in usual_kinds()}
    assert "tensorflow" not in {kind.name for kind in usual_kinds()}
