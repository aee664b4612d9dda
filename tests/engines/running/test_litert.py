from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.engines import Engine, LiteRTEngine, ModelError, TensorSpec, try_model
from lykeion.engines.running import trial

ROUNDING: Any = {"rtol": 1e-5, "atol": 1e-6}
"""Of float32 sums of some hundred terms, in whichever order a processor's kernel adds them."""


def test_a_model_says_what_it_takes_and_gives(model: bytes) -> None:
    engine: Engine = LiteRTEngine(model)
    assert engine.inputs == (TensorSpec("image", (-1, 16, 16, 3), np.dtype(np.float32)),)
    assert engine.outputs == (TensorSpec("embedding", (-1, 8), np.dtype(np.float32)),)


def test_a_batch_gives_what_its_photos_give_one_by_one(model: bytes) -> None:
    engine = LiteRTEngine(model)
    batch = np.random.default_rng(0).normal(size=(5, 16, 16, 3)).astype(np.float32)
    single = np.concatenate([engine.run(photo[np.newaxis])["embedding"] for photo in batch])
    assert single.shape == (5, 8)
    assert np.ptp(single, axis=0).max() > 0
    np.testing.assert_allclose(engine.run(batch)["embedding"], single, **ROUNDING)


def test_threads_do_not_change_the_answer(model: bytes) -> None:
    batch = np.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(np.float32)
    one, two = (LiteRTEngine(model, threads=threads).run(batch)["embedding"] for threads in (1, 2))
    np.testing.assert_allclose(one, two, **ROUNDING)


def test_outputs_belong_to_the_caller(model: bytes) -> None:
    engine = LiteRTEngine(model)
    first = engine.run(np.ones((1, 16, 16, 3), np.float32))["embedding"]
    kept = first.copy()
    engine.run(np.zeros((1, 16, 16, 3), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 17, 16, 3), np.float32),
        np.zeros((16, 16, 3), np.float32),
        np.zeros((0, 16, 16, 3), np.float32),
        np.zeros((1, 16, 16, 3), np.uint8),
    ],
)
def test_a_wrong_batch_is_an_error_and_the_engine_lives_on(model: bytes, batch: np.ndarray) -> None:
    engine = LiteRTEngine(model, name="tiny.tflite")
    with pytest.raises(ModelError, match=r"tiny\.tflite: cannot run on "):
        engine.run(batch)
    assert engine.run(np.zeros((2, 16, 16, 3), np.float32))["embedding"].shape == (2, 8)


@pytest.mark.parametrize("content", [b"", b"x", b"PK\3\4" + bytes(100), b"\0\0\0\0TFL3", b"\xff" * 4 + b"TFL3" * 500])
def test_a_file_that_is_no_model_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.tflite: not a LiteRT model") as caught:
        LiteRTEngine(tmp_path / "bad.tflite")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite: cannot read the model: No such file"):
        LiteRTEngine(tmp_path / "none.tflite")


@given(st.data())
def test_a_truncated_model_is_an_error_wherever_it_ends(model: bytes, data: st.DataObject) -> None:
    with pytest.raises(ModelError):
        LiteRTEngine(model[: data.draw(st.integers(0, len(model) - 1))])


def test_a_tensor_too_large_for_memory_is_refused_before_it_is_made(changed: Any) -> None:
    def enlarge(parsed: Any) -> None:
        parsed.subgraphs[0].tensors[0].shape = [1, 100_000, 100_000, 3]

    with pytest.raises(ModelError, match=r"would take 111\.8 GiB"):
        LiteRTEngine(changed(enlarge))


def test_a_sound_model_passes_its_trial(model: bytes) -> None:
    try_model(model, "tiny.tflite")


def test_a_model_that_crashes_litert_crashes_a_process_of_its_own(changed: Any) -> None:
    def drop_bias(parsed: Any) -> None:  # of the depthwise convolution, where LiteRT 2.3 does not look
        for operator in parsed.subgraphs[0].operators:
            if type(operator.builtinOptions).__name__ == "DepthwiseConv2DOptionsT":
                operator.inputs = list(operator.inputs)[:2]

    with pytest.raises(ModelError, match=r"evil\.tflite: the model crashes LiteRT \(SIG"):
        try_model(changed(drop_bias), "evil.tflite")


def test_a_trial_that_hangs_ends_and_the_next_goes_on(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TIME_S", 0.01)
    outcomes = list(trial.try_models([trial.Trial("slow.tflite", model)] * 2, "litert"))
    said = "slow.tflite: a few runs of the model take more than 0.01 s"
    assert [str(outcome) for outcome in outcomes] == [said, said]


def test_a_trial_says_what_the_engine_would_say(changed: Any) -> None:
    def foreign(parsed: Any) -> None:
        parsed.operatorCodes[0].builtinCode = 32  # CUSTOM
        parsed.operatorCodes[0].customCode = "NoSuchOperator"

    with pytest.raises(ModelError, match=r"odd\.tflite: .*NoSuchOperator") as caught:
        try_model(changed(foreign), "odd.tflite")
    assert "\n" not in str(caught.value)


def test_the_first_engine_writes_nothing_to_standard_error(model: bytes, tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "tiny.tflite").write_bytes(model)
    program = "import sys; from lykeion.engines import LiteRTEngine; LiteRTEngine(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "tiny.tflite")], capture_output=True, check=True
    )
    assert done.stderr == b""
