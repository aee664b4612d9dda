"""``lykeion experiment``: plans, events from files, and declarations that are refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import LykeionError


def _run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["experiment", *arguments], catch_exceptions=False, input=given)


def test_a_plan_says_how_many_units_every_look_and_one_look_need() -> None:
    found = json.loads(_run("plan", "clicks", "--base", ".1", "--mde", "20%", "--a-day", "1000", "--json").stdout)
    assert found["units_with_one_look"] < found["units"] < 3 * found["units_with_one_look"]
    assert found["looks"][-1]["sees"] == pytest.approx(0.2, abs=0.001)
    assert [each["days"] for each in found["looks"]] == sorted(each["days"] for each in found["looks"])
    assert "with tuningUnits: " in _run("plan", "clicks", "--base", ".1", "--mde", "5%").stdout


@pytest.mark.parametrize("wrong", [("--base", "1.5"), ("--base", ".9", "--mde", "20%"), ("--mde", "much")])
def test_a_plan_that_makes_no_sense_is_refused(wrong: tuple[str, ...]) -> None:
    assert _run("plan", "clicks", "--base", ".1", "--mde", "5%", *wrong).exit_code == 2


@pytest.mark.parametrize("change", [("--base", "1e-9", "--mde", "1e-5"), ("--mde", "1e-18"), ("--spread", "1e11")])
def test_a_plan_for_a_change_that_nobody_could_see_ends_in_one_line(change: tuple[str, ...]) -> None:
    with pytest.raises(LykeionError, match=r"takes more than 1e\+12 units; plan for a larger one"):
        _run("plan", "clicks", "--base", ".1", "--mde", "5%", *change)


def test_nobody_is_told_what_will_be(tmp_path: Path) -> None:
    found = _run("report", "new", "--until", "2999-01-01T00:00:00+0000", "--fleet", str(tmp_path))
    assert found.exit_code == 2
    assert "a time that is past" in found.stderr


def test_events_are_taken_from_files_and_forgotten_by_unit(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = [json.dumps({"id": str(n), "unit": f"u{n % 3}", "name": "click", "at": 1.8e9}) for n in range(9)]
    file, fleet = tmp_path / "events.jsonl", ("--fleet", str(tmp_path / "fleet"))
    file.write_text("\n".join(lines))
    assert "9 events were taken" in _run("collect", str(file), *fleet).stdout
    assert "3 events of u1 are deleted" in _run("delete", "u1", *fleet).stdout
    assert "0 events of u1 are deleted" in _run("delete", "u1", *fleet).stdout
    file.write_text("\n".join([*lines, "{}"]))
    with pytest.raises(LykeionError, match=r"events.jsonl: line 10 lacks the field 'id'"):
        _run("collect", str(file), *fleet)


def test_events_as_units_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "exp.yaml"
    file.write_text("""
apiVersion: lykeion.github.io/v1alpha1
kind: Experiment
metadata: {name: new}
spec:
  model: embedder
  analysisUnit: event
  windowSeconds: 60
  arms: [{name: control, share: 0.5, version: v1}, {name: treatment, share: 0.5, version: v2}]
  metrics: [{name: clicked, kind: Proportion, event: click}]
""")
    with pytest.raises(LykeionError, match="events of one unit are not independent observations"):
        _run("start", str(file), "--fleet", str(tmp_path))
