"""An experiment on a fleet: devices run the version of their arm, and what they report decides."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from .fleet_machine import Caller, FleetMachine, fleet_machine
from .platform_machine import until

pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

SPEC = {
    "model": "shoes",
    "arms": [
        {"name": "control", "share": 0.5, "version": "v1"},
        {"name": "treatment", "share": 0.5, "version": "v2"},
    ],
    "windowSeconds": 1,
    "lateSeconds": 1,
    "minimumUnits": 10,
    "intervalSeconds": 1,
    "metrics": [{"name": "clicks", "kind": "RareEvent", "event": "click"}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FleetMachine]:
    with fleet_machine(tmp_path) as made:
        yield made


def _declared(path: Path, **changes: object) -> str:
    spec = {**SPEC, **changes}
    document = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Experiment", "spec": spec}
    path.write_text(yaml.safe_dump({**document, "metadata": {"name": "new-shoes"}}))
    return str(path)


def _use(caller: Caller) -> None:
    """A person with a device uses the model, and clicks if it is the second version."""
    now, arm = time.time(), ("control", "treatment")[caller.running - 1]
    shown = {"experiment": "new-shoes", "arm": arm, "class": "any"}
    events = [{"id": 1, "kind": "event", "name": "exposure", "at": now, "fields": shown}]
    if arm == "treatment":
        events.append({"id": 2, "kind": "event", "name": "click", "at": now + 0.001, "fields": {}})
    caller._post("events", {"events": events, "dropped": {}})


def _all(callers: Sequence[Caller], work: object) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, callers))  # type: ignore[arg-type]


def test_devices_are_divided_and_the_version_that_people_use_is_shipped(server: FleetMachine, tmp_path: Path) -> None:
    token = server.run("delivery", "token", "--uses", "60").strip()
    callers = [Caller(server.url) for _ in range(60)]
    _all(callers, lambda each: each.enrol(token))
    started = server.run("experiment", "start", _declared(tmp_path / "exp.yaml"))
    assert "experiment new-shoes is declared as sha256:" in started
    _all(callers, Caller.call)
    until(lambda: "Running" in server.run("experiment", "get"))
    _all(callers, Caller.call)
    arms = [each.running for each in callers]
    assert 10 <= arms.count(2) <= 50
    assert arms.count(1) + arms.count(2) == 60
    told = callers[0].call()["flags"]["new-shoes"]
    assert told == ("control", "treatment")[callers[0].running - 1]
    _all(callers, _use)

    def counted() -> bool:
        return sum(json.loads(server.run("experiment", "report", "new-shoes", "--json"))["counted"]) == 60

    until(counted)
    ship = ("--because", "they click", "--by", "ann")
    record, plot = tmp_path / "record.json", tmp_path / "looks.png"
    table = server.run("experiment", "report", "new-shoes", "--export", str(record), "--plot", str(plot))
    assert "better" in table
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "has no arm" in server.run("experiment", "conclude", "new-shoes", "--ship", "both", *ship, code=2)
    assert "already" in server.run("experiment", "start", _declared(tmp_path / "b.yaml", windowSeconds=9), code=2)
    ended = server.run("experiment", "conclude", "new-shoes", "--ship", "treatment", *ship)
    assert "lykeion rollout start shoes:v2" in ended
    until(lambda: "Concluded" in server.run("experiment", "get"))
    _all(callers, Caller.call)
    assert {each.running for each in callers} == {1}, "after the end nobody is in an arm"
    assert "better" in server.run("experiment", "report", str(record))
    unit = json.loads(server.run("delivery", "devices", "list", "--json"))[0]["device"]
    assert "events of" in server.run("experiment", "delete", unit)
    assert "computed again, these are others" in server.run("experiment", "report", str(record), code=3)
