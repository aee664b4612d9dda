"""Trainings on this machine: attempts of all workers, checkpoints, publication, metrics."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .platform_machine import PlatformMachine, platform_machine, shell, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5
"""Relative, between the losses of one worker and of two that have half the batch each."""


def _apply(machine: PlatformMachine, program: dict[str, Any], name: str = "shoes", **spec: Any) -> None:
    program = {"workingDir": str(machine.place), **program}
    document = {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Training",
        "metadata": {"name": name},
        "spec": {"program": program, **spec},
    }
    machine.run("apply", "-f", "-", text=yaml.safe_dump(document))


def _example(machine: PlatformMachine, name: str, *, batch: int, dies: str = "", step: int = 15) -> dict[str, Any]:
    """One of examples/training, over 28 steps; the workers that ``dies`` names are killed before a step."""
    options = ["--sample", "--epochs", "1", "--batch", str(batch), "--learning-rate", "0.02"]
    command = [sys.executable, "-m", "tests.e2e.dying_worker", name, str(step), dies]
    (machine.place / "died").mkdir(exist_ok=True)
    variables = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "DIED": str(machine.place / "died"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_COMPILATION_CACHE_DIR": str(machine.place / "compiled"),
    }
    env = [{"name": variable, "value": value} for variable, value in variables.items()]
    return {"command": command, "args": [*options, "--checkpoint-steps", "10"], "env": env, "workingDir": str(ROOT)}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _losses(machine: PlatformMachine, name: str) -> list[float]:
    rows = json.loads(machine.run("metrics", f"training/{name}", "--json"))
    assert [row["step"] for row in rows] == list(range(1, 29))
    return [row["loss"] for row in rows]


@pytest.mark.parametrize(("program", "dies"), [("keras_on_jax", "1"), ("tensorflow_loop", "0,1")])
def test_two_workers_that_are_killed_at_half_have_the_losses_of_one_with_twice_the_batch(
    running: PlatformMachine, program: str, dies: str
) -> None:
    publish = {"model": "fashion:candidate", "directory": "model"}
    _apply(running, _example(running, program, batch=64), name="one")
    running.run("wait", "training/one", "--timeout", "300")
    _apply(running, _example(running, program, batch=32, dies=dies), name="two", workers=2, publish=publish)
    running.run("wait", "training/two", "--timeout", "300")
    assert sorted(path.name for path in (running.place / "died").iterdir()) == dies.split(",")
    assert _losses(running, "two") == pytest.approx(_losses(running, "one"), rel=TOLERANCE)
    two = running.get("training/two")
    assert (two["status"]["attempts"], len(two["status"]["failures"])) == (2, 1)
    shown = json.loads(running.run("models", "show", two["status"]["model"], "--json"))
    assert two["status"]["metrics"] == shown["facts"]["metrics"]
    assert two["status"]["metrics"]["validation_top1"] > 0.3


def test_an_example_that_fails_in_one_worker_says_why_and_ends_at_once(running: PlatformMachine) -> None:
    program = _example(running, "keras_on_jax", batch=32)
    program["env"].append({"name": "LYKEION_RUN", "value": "/dev/null/run"})
    _apply(running, program, workers=2, retries=0)
    error = running.run("wait", "training/shoes", "--timeout", "120", code=2)
    assert "ProgramFailed: attempt 1: exit code 1: error: [Errno 20] Not a directory: '/dev/null/run'" in error


def test_the_first_worker_that_fails_ends_the_attempt_of_all_and_none_runs_twice(running: PlatformMachine) -> None:
    script = """
        echo begin $RANK >> ran
        if test $RANK = 1 -a ! -e failed; then
            until test $(grep -c begin ran) = 3; do sleep 0.05; done; touch failed; echo no memory; exit 7
        fi
        test -e failed || { trap 'echo ended $RANK >> ran; exit 1' TERM; while :; do sleep 0.05; done; }
        echo done $RANK >> ran
    """
    _apply(running, shell(script), workers=3)
    running.run("wait", "training/shoes", "--timeout", "60")
    ran = _lines(running.place / "ran")
    first, second = ran[:5], ran[5:]
    assert sorted(first) == ["begin 0", "begin 1", "begin 2", "ended 0", "ended 2"]
    assert sorted(second) == sorted(f"{what} {rank}" for what in ("begin", "done") for rank in range(3))
    status = running.get("training/shoes")["status"]
    assert status["attempts"] == 2
    (failure,) = status["failures"]
    assert (failure["index"], failure["exitCode"], failure["message"]) == (1, 7, "no memory")


def test_attempts_have_one_run_directory_and_addresses_of_their_own(running: PlatformMachine) -> None:
    script = "echo $LYKEION_PEERS >> $LYKEION_RUN/peers; test -e again || { touch again; exit 1; }"
    _apply(running, shell(script + "; cp $LYKEION_RUN/peers ."), roles=[{"name": "chief"}])
    running.run("wait", "training/shoes", "--timeout", "60")
    first, second = _lines(running.place / "peers")
    assert first != second


@pytest.mark.parametrize(
    ("rule", "attempts", "ends"),
    [
        ({"action": "Fail", "exitCodes": [2, 42]}, 1, "Failed"),
        ({"action": "Ignore", "exitCodes": [42]}, 3, "Complete"),
        ({"action": "Ignore", "exitCodes": [41]}, 2, "Failed"),
    ],
    ids=["fail", "ignore", "another code"],
)
def test_a_rule_says_what_follows_from_an_exit_code(
    running: PlatformMachine, rule: dict[str, Any], attempts: int, ends: str
) -> None:
    script = "echo $RANK >> ran; test $(grep -c 0 ran) = 3 || exit 42"
    _apply(running, shell(script), roles=[{"name": "worker"}], retries=1, onFailure=[rule])
    running.run("wait", "training/shoes", "--for", f"condition={ends}", "--timeout", "60")
    assert _lines(running.place / "ran") == ["0"] * attempts
    assert running.get("training/shoes")["status"]["attempts"] == attempts


def test_a_model_and_its_metrics_are_published_from_the_run_directory(running: PlatformMachine) -> None:
    script = """
        mkdir -p $LYKEION_RUN/model; echo weights > $LYKEION_RUN/model/shoes.bin
        echo '{"schema": 1, "metrics": {"top1": 0.875}}' > $LYKEION_RUN/model/lykeion.json; echo trained
    """
    publish = {"model": f"shoes-{running.namespace}:candidate", "directory": "model"}
    _apply(running, shell(script), publish=publish)
    running.run("wait", "training/shoes", "--timeout", "60")
    training = running.get("training/shoes")
    status, alias = training["status"], f"run-{training['metadata']['uid']}"
    assert status["metrics"] == {"top1": 0.875}
    shown = json.loads(running.run("models", "show", publish["model"], "--json"))
    assert shown["version"]["digest"] == status["digest"]
    assert set(shown["version"]["aliases"]) == {"candidate", alias}
    assert shown["facts"]["lineage"]["run"] == "training/shoes"
    assert status["digest"] in running.run("models", "show", f"shoes-{running.namespace}:{alias}")
    assert status["model"] in running.run("get", "training")
    for told in (f"model: {status['model']}", f"digest: {status['digest']}", "top1: 0.875"):
        assert told in running.run("describe", "training/shoes")
    assert running.run("logs", "training/shoes") == "trained\n"


def test_a_program_that_leaves_no_model_has_failed_to_publish_one(running: PlatformMachine) -> None:
    _apply(running, shell("mkdir -p $LYKEION_RUN/model"), publish={"model": "none", "directory": "model"})
    error = running.run("wait", "training/shoes", "--timeout", "90", code=2)
    assert "NotPublished" in error
    assert "attempt 1: exit code 2" in error, "what would fail again is not tried again"
    assert "model has 0 files" in error


def test_metrics_are_followed_while_a_program_writes_them_and_shown_after_it(running: PlatformMachine) -> None:
    script = """
        cd $LYKEION_RUN
        echo '{"step": 1, "loss": 2.5}' >> metrics.jsonl
        until test -e $PLACE/go; do sleep 0.05; done
        printf 'Epoch 1\n{"step": 2, "loss": NaN}\n{"step": 2, "loss": 0.5, "\\u001b[31m": 1}\n' >> metrics.jsonl
    """
    env = [{"name": "PLACE", "value": str(running.place)}]
    _apply(running, {**shell(script), "env": env})
    until(lambda: json.loads(running.run("metrics", "training/shoes", "--json")) == [{"step": 1, "loss": 2.5}])
    (running.place / "go").touch()
    followed = running.run("metrics", "training/shoes", "--follow", "--json", "--plot", str(running.place / "a.png"))
    rows = [{"step": 1, "loss": 2.5}, {"step": 2}, {"step": 2, "loss": 0.5}]
    assert [json.loads(line) for line in followed.splitlines()] == rows
    assert (running.place / "a.png").read_bytes().startswith(b"\x89PNG")
    table = running.run("metrics", "training/shoes").split()
    assert table[-5:] == ["loss", "0.5", "2", "0.5", "2.5"]


def test_what_has_no_run_directory_has_no_metrics(running: PlatformMachine) -> None:
    running.apply(program=shell("true"), shards={"count": 1})
    assert "has no metrics" in running.run("metrics", "batch/embed", code=2)
    assert "there is no training/shoes" in running.run("metrics", "training/shoes", code=2)
    inputs = [{"name": "photos", "artifact": "127.0.0.1:9/photos"}]
    _apply(running, shell("true"), inputs=inputs)
    assert "training/shoes has no run directory yet" in running.run("metrics", "training/shoes", code=2)


def test_a_training_that_is_killed_with_its_platform_goes_on_in_its_run_directory(tmp_path: Path) -> None:
    with platform_machine(tmp_path / "h") as machine:
        machine.start()
        script = 'mkdir $LYKEION_RUN/$RANK && new=1; echo $$$$ >> ran; test -z "$new" || exec sleep 600'
        _apply(machine, shell(script), workers=2)
        until(lambda: len(_lines(machine.place / "ran")) == 2)
        machine.kill()
        for worker in _lines(machine.place / "ran"):
            os.killpg(os.getpgid(int(worker)), signal.SIGKILL)
        machine.start()
        machine.run("wait", "training/shoes", "--timeout", "60")
        status = machine.get("training/shoes")["status"]
        assert (status["attempts"], [each["reason"] for each in status["failures"]]) == (2, ["Lost"])
        assert len(_lines(machine.place / "ran")) == 4


def test_the_first_failure_of_an_attempt_decides_also_if_no_platform_saw_it(tmp_path: Path) -> None:
    with platform_machine(tmp_path / "h") as machine:
        machine.start()
        script = """
            echo $$$$ > pid$RANK; until test -e go; do sleep 0.05; done; test $RANK = 0 || exit 7
            while kill -0 $(cat pid1); do sleep 0.05; done; sleep 0.1; exit 1
        """
        rule = {"action": "Fail", "exitCodes": [7]}
        _apply(machine, shell(script), workers=2, onFailure=[rule])
        until(lambda: (machine.place / "pid0").exists() and (machine.place / "pid1").exists())
        machine.kill()
        (machine.place / "go").touch()
        until(lambda: len(list((machine.home / "platform" / "work").glob("*/*/exit"))) == 2)
        machine.start()
        machine.run("wait", "training/shoes", "--for", "condition=Failed", "--timeout", "60")
        status = machine.get("training/shoes")["status"]
        assert (status["attempts"], [each["exitCode"] for each in status["failures"]]) == (1, [7])


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "training").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_files_of_the_examples_can_be_applied(running: PlatformMachine, file: Path) -> None:
    assert running.run("apply", "-f", str(file), "--dry-run").endswith(" created (dry run)\n")
