"""The parts of examples/training that need no framework: batches, checkpoints, metrics; and the files to apply."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.training.photos import batches, load
from examples.training.run_directory import RunDirectory
from lykeion.core import Conflict, Refused
from lykeion.platform import WRITTEN, read_resources

SETTINGS = {"batch": 8, "seed": 0}
ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "examples" / "training").glob("*.yaml"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("LYKEION_RUN", str(tmp_path / "run"))
    return RunDirectory(SETTINGS)


def _steps(run: RunDirectory) -> list[int]:
    return [json.loads(line)["step"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_batches_go_on_after_any_step_as_they_would_have_without_a_break() -> None:
    whole = list(batches(35, 8, epochs=3, seed=1, after=0))
    assert [batch.step for batch in whole] == list(range(1, 13))
    assert [batch.step for batch in whole if batch.ends_epoch] == [4, 8, 12]
    for after in range(13):
        rest = list(batches(35, 8, epochs=3, seed=1, after=after))
        assert [batch.rows.tolist() for batch in rest] == [batch.rows.tolist() for batch in whole[after:]]


def test_the_parts_of_workers_are_the_batch_of_one() -> None:
    for batch in batches(35, 8, epochs=2, seed=1, after=0):
        parts = [batch.part(worker, 2) for worker in range(2)]
        assert np.concatenate(parts).tolist() == batch.rows.tolist()


def test_an_epoch_has_each_photo_at_most_once_and_another_order_than_the_last() -> None:
    rows = [batch.rows for batch in batches(32, 8, epochs=2, seed=1, after=0)]
    first, second = np.concatenate(rows[:4]), np.concatenate(rows[4:])
    assert sorted(first) == sorted(second) == list(range(32))
    assert first.tolist() != second.tolist()


def test_the_sample_is_split_into_training_and_validation() -> None:
    train, validation = load(sample=True)
    assert (train.images.shape, validation.images.shape) == ((1800, 28, 28, 1), (200, 28, 28, 1))
    assert (train.images.min(), train.images.max()) == (0, 1)
    assert set(validation.labels) == set(range(10))


def test_a_training_resumes_from_its_last_checkpoint_without_the_metrics_that_followed_it(run: RunDirectory) -> None:
    assert run.load() is None
    for step in (1, 2):
        run.record(step=step, loss=1 / step)
    run.save(2, [np.arange(3.0), np.ones((2, 2))])
    run.record(step=3, loss=0.3)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # killed while it wrote
    found = RunDirectory(SETTINGS).load()
    assert found
    assert found[0] == 2
    assert [each.tolist() for each in found[1]] == [[0, 1, 2], [[1, 1], [1, 1]]]
    assert _steps(run) == [1, 2]


def test_what_was_written_before_the_first_checkpoint_is_written_again(run: RunDirectory) -> None:
    run.record(step=1, loss=1)
    assert RunDirectory(SETTINGS).load() is None
    assert _steps(run) == []


def test_a_checkpoint_of_other_settings_is_refused(run: RunDirectory) -> None:
    run.record(step=1, loss=1)
    run.save(1, [])
    with pytest.raises(Conflict, match="belongs to a training with other settings"):
        RunDirectory({**SETTINGS, "batch": 16}).load()


def test_without_a_run_directory_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LYKEION_RUN", raising=False)
    with pytest.raises(Refused, match="LYKEION_RUN is not set"):
        RunDirectory(SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("program", [file.stem for file in FILES])
def test_a_program_tells_what_is_wrong_in_one_line(program: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "LYKEION_RUN"}
    environment = {**environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", f"examples.training.{program}", "--sample"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: LYKEION_RUN is not set: set it to a directory")
    assert "Traceback" not in done.stderr


def test_each_program_has_a_file_to_apply() -> None:
    for file in FILES:
        (training,) = read_resources([file], WRITTEN, "default")
        assert f"examples.training.{file.stem}" in training.spec.program.command
        assert training.spec.workers == 2
    assert [file.stem for file in FILES] == ["keras_on_jax", "tensorflow_loop"]
