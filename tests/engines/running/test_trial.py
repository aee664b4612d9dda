"""What a trial in another process promises: that what it says runs does run, as it will be used."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lykeion.engines import LiteRTEngine, ModelError, TensorSpec
from lykeion.engines.running import KINDS, Trial, TrialLimits, noise, trial, try_model, try_models
from lykeion.engines.running.adapters import litert
from tests.litert.files import one_operator

B = tfl.BuiltinOperator
MAP = (1, 4, 4, 3)
ONE_ROW = one_operator(B.RESHAPE, tfl.ReshapeOptionsT(newShape=[1, 48]), MAP, (1, 48), [np.array([1, 48], np.int32)])
RELU = one_operator(B.RELU, None, MAP, MAP)
ANY_SIZE = one_operator(B.RELU, None, (1, -1, -1, 3), (1, -1, -1, 3))
ENGINES = [name for name, kind in KINDS.items() if kind.installed and name not in ("mediapipe", "tensorflow")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["litert", "litert-builtin", "litert-compiled"])
def test_a_trial_says_how_many_photos_run_at_once(engine: str) -> None:
    assert try_model(RELU, "relu", kind=engine, at_once=32).at_once == 32
    assert try_model(ONE_ROW, "one row", kind=engine, at_once=32).at_once == 1


def test_what_crashes_on_many_photos_is_tried_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash_on_many(trials: Sequence[Trial], *_: object) -> tuple[list[bytes], str]:
        run = {"load_ms": 1, "run_ms": 1, "rough_ms": 1, "memory_bytes": 1}
        alone = [json.dumps({"runs": [run]}).encode() for each in trials if each.at_once == 1]
        return alone, "the model crashes LiteRT"

    monkeypatch.setattr(trial, "_in_child", crash_on_many)
    (runs,) = try_models([Trial("odd", b"", at_once=32)], "litert")
    assert isinstance(runs, tuple)
    assert [run.at_once for run in runs] == [1]


def test_a_batch_too_large_for_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "MAX_TENSOR_BYTES", 1 << 10)
    engine = LiteRTEngine(RELU, name="relu", xnnpack=False)
    with pytest.raises(ModelError, match=r"relu: cannot run on .* would take"):
        engine.run(np.ones((32, 4, 4, 3), np.float32))
    assert engine.run(np.ones(MAP, np.float32))["y"].shape == MAP


@pytest.mark.parametrize("engine", ENGINES)
def test_a_size_that_nothing_tells_is_refused_in_one_line(engine: str) -> None:
    with pytest.raises(ModelError, match=r"any size: .*takes any size") as caught:
        try_model(ANY_SIZE, "any size", kind=engine)
    assert "\n" not in str(caught.value)


def test_a_model_for_photos_of_any_size_is_tried_on_the_size_that_is_told() -> None:
    assert try_model(ANY_SIZE, "any size", photo=(5, 6, 3)).run_ms > 0


def test_a_trial_may_be_given_less_memory_than_the_model_needs() -> None:
    large = one_operator(
        B.TILE, tfl.TileOptionsT(), MAP, (1, 4096, 4096, 6), [np.array([1, 1024, 1024, 2], np.int32)]
    )
    with pytest.raises(ModelError, match="large: "):
        try_model(large, "large", limits=TrialLimits(memory_bytes=512 << 20))
    assert try_model(large, "large").memory_bytes > 300 << 20


def test_noise_is_what_an_input_can_take() -> None:
    plain, places, scaled = (
        TensorSpec("x", (-1, 50), np.dtype(dtype), scale)
        for dtype, scale in (("uint8", None), ("int32", None), ("int8", (0.01, 0.0)))
    )
    assert noise([plain])[0].max() > 200
    assert not noise([places])[0].any()
    assert np.abs(noise([scaled])[0]).max() <= 1


def test_a_compiled_model_runs_once_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = KINDS["litert-compiled"].load(RELU)
    runs: list[object] = []
    run = engine._run  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(engine, "_run", lambda: runs.append(run()))
    engine.run(np.ones(MAP, np.float32))
    assert len(runs) == 1
