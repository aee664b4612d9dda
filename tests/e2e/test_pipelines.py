"""Pipelines on this machine: real programs, artifacts in the registry, runs by hand and on a schedule."""

import json
from typing import Any

import pytest
import yaml

from .platform_machine import PlatformMachine, shell, until

pytestmark = pytest.mark.slow


def _step(machine: PlatformMachine, name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "program": {**shell(script), "workingDir": str(machine.place)}, **more}


def _apply(machine: PlatformMachine, *steps: dict[str, Any], **spec: Any) -> None:
    document = {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "nightly"},
        "spec": {"steps": list(steps), **spec},
    }
    machine.run("apply", "-f", "-", text=yaml.safe_dump(document))


def _phases(machine: PlatformMachine, run: str) -> dict[str, str]:
    status = json.loads(machine.run("get", f"run/{run}", "--json"))["status"]
    return {step["name"]: step["phase"] for step in status["steps"]}


def test_values_go_from_step_to_step_and_a_list_fans_out(running: PlatformMachine) -> None:
    days = "$(steps.list.results.days)"
    _apply(
        running,
        _step(running, "list", """printf '{"days": ["mon", "tue"], "few": true}' > $LYKEION_RESULT"""),
        _step(running, "each", "echo $LYKEION_SHARD of $(parameters.shop) >> days", forEach=days),
        _step(running, "many", "touch many", needs=["each"], when="not steps.list.results.few"),
        exitSteps=[_step(running, "report", "echo $(run.outcome) > outcome")],
        parameters=[{"name": "shop"}],
    )
    assert "give a value for shop" in running.run("run", "pipeline/nightly", code=2)
    assert running.run("run", "pipeline/nightly", "-p", "shop=shoes") == "pipelinerun/nightly-run-1 created\n"
    running.run("wait", "run/nightly-run-1", "--timeout", "60")
    assert sorted((running.place / "days").read_text().splitlines()) == ["mon of shoes", "tue of shoes"]
    assert _phases(running, "nightly-run-1") == {
        "list": "Succeeded", "each": "Succeeded", "many": "Skipped", "report": "Succeeded",
    }  # fmt: skip
    assert (running.place / "outcome").read_text() == "Complete\n"


def test_a_failed_run_is_gone_on_with_where_it_failed(running: PlatformMachine) -> None:
    _apply(
        running,
        _step(running, "a", "echo a >> ran; echo from a"),
        _step(running, "b", "test -e mended && echo b >> ran", needs=["a"]),
        _step(running, "c", "echo c >> ran", needs=["b"]),
    )
    running.run("run", "pipeline/nightly")
    assert "StepFailed" in running.run("wait", "run/nightly-run-1", "--timeout", "60", code=2)
    assert running.run("logs", "run/nightly-run-1", "--step", "a") == "from a\n"
    assert "has run nothing in c" in running.run("logs", "run/nightly-run-1", "--step", "c", code=2)
    (running.place / "mended").touch()
    assert running.run("retry", "run/nightly-run-1") == "pipelinerun/nightly-run-1-retry-1 created\n"
    running.run("wait", "run/nightly-run-1-retry-1", "--timeout", "60")
    assert (running.place / "ran").read_text() == "a\nb\nc\n"
    running.run("run", "pipeline/nightly", "--from", "c")
    running.run("wait", "run/nightly-run-2", "--timeout", "60")
    assert _phases(running, "nightly-run-2") == {"a": "Reused", "b": "Reused", "c": "Succeeded"}
    assert (running.place / "ran").read_text() == "a\nb\nc\nc\n"


def test_outputs_are_kept_and_fetched_by_digest_and_a_second_run_takes_them_from_the_cache(
    running: PlatformMachine,
) -> None:
    make = _step(
        running,
        "make",
        "mkdir $LYKEION_OUTPUTS/index && echo rows > $LYKEION_OUTPUTS/index/wal.log; echo made >> made",
        outputs=[{"name": "index", "publish": "shop:current"}],
        cache=True,
    )
    read = {"name": "index", "artifact": "$(steps.make.outputs.index)"}
    _apply(running, make, _step(running, "use", "cat $LYKEION_INPUTS/index/wal.log >> used", inputs=[read]))
    for number in (1, 2):
        running.run("run", "pipeline/nightly")
        running.run("wait", f"run/nightly-run-{number}", "--timeout", "120")
    assert (running.place / "used").read_text() == "rows\nrows\n"
    assert (running.place / "made").read_text() == "made\n"
    assert _phases(running, "nightly-run-2") == {"make": "Cached", "use": "Succeeded"}
    running.run("models", "pull", "shop:current", str(running.place / "pulled"))
    assert (running.place / "pulled" / "wal.log").read_text() == "rows\n"


def test_a_scheduled_pipeline_runs_at_its_minute(running: PlatformMachine) -> None:
    _apply(running, _step(running, "a", "echo ran >> ran"), schedule={"cron": "* * * * *"})
    until(lambda: (running.place / "ran").exists(), seconds=130)
    (run,) = json.loads(running.run("get", "run", "--json"))["items"]
    assert run["metadata"]["ownerReferences"][0]["name"] == "nightly"
    assert running.run("diff", "-f", "-", code=3, text=_document(running)).count("+") > 1
    running.run("suspend", "pipeline/nightly")
    running.run("delete", "pipeline/nightly")
    assert json.loads(running.run("get", "run", "--json"))["items"] == []


def _document(machine: PlatformMachine) -> str:
    shown = yaml.safe_load(machine.run("get", "pipeline/nightly", "-o", "yaml"))
    shown["spec"]["schedule"]["cron"] = "0 3 * * *"
    kept = {name: shown[name] for name in ("apiVersion", "kind", "spec")}
    return yaml.safe_dump({**kept, "metadata": {"name": "nightly"}})
