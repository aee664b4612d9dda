"""Events: written completely or not at all, and counted alike however late, often and disordered they come."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from lykeion.delivery.experiments.events import (
    CountingRules,
    EventLineError,
    EventLog,
    EventMeasure,
    UnitEvent,
    count_units,
    read_lines,
)

HOUR_S = 60.0  # of a day of 24 minutes: the events of a test are in few files
START = 1_796_000_000.0
RULES = CountingRules("try", ("control", "treatment"), 24 * HOUR_S, 6 * HOUR_S, START, START + 1e6)
MEASURES = (
    EventMeasure("click", "Count"),
    EventMeasure("buy", "Sum"),
    EventMeasure("click", "Any"),
    EventMeasure("click", "Count", 48 * HOUR_S),
)


def exposure(unit: str, at: float, arm: str = "control", late: float = 0.0, **more: object) -> UnitEvent:
    return UnitEvent(f"x{at}", unit, "exposure", at, at + late, experiment="try", arm=arm, **more)  # type: ignore[arg-type]


def event(unit: str, name: str, at: float, value: float = 1.0, late: float = 0.0, id: str = "") -> UnitEvent:
    return UnitEvent(id or f"{name}{at}", unit, name, at, at + late, value)


def counted(log: EventLog, until: float = START + 1e6) -> dict[str, tuple[float, ...]]:
    """By unit: its arm and measures."""
    found = count_units(log, RULES, MEASURES, until)
    rows = zip(found.unit, found.arm, *found.measures, strict=True)
    return {unit: tuple(round(float(each), 6) for each in numbers) for unit, *numbers in rows}


def test_events_count_within_the_window_and_before_the_cut_off(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append(
        [
            event("a", "click", START - HOUR_S),  # before: the covariate
            exposure("a", START, "treatment"),
            event("a", "click", START + HOUR_S),
            event("a", "click", START + 2 * HOUR_S, late=20 * HOUR_S),
            event("a", "click", START + 3 * HOUR_S, late=40 * HOUR_S),  # received after the cut-off
            event("a", "click", START + 25 * HOUR_S),  # after the window
            event("a", "buy", START + HOUR_S, 2.5),
            event("a", "buy", START + 4 * HOUR_S, 4.0),
            exposure("b", START + HOUR_S),
            event("c", "click", START),  # never exposed
        ]
    )
    assert counted(log) == {"a": (1, 2, 6.5, 1, 1), "b": (0, 0, 0, 0, 0)}


def test_a_unit_is_counted_when_its_window_and_the_time_for_late_events_are_over(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append([exposure("a", START), exposure("b", START + HOUR_S)])
    assert counted(log, START + 30 * HOUR_S - 1) == {}
    assert set(counted(log, START + 30 * HOUR_S)) == {"a"}
    assert set(counted(log, START + 31 * HOUR_S)) == {"a", "b"}


def _stream(seed: int) -> list[UnitEvent]:
    """Events of 60 units, some late, some of them again and again."""
    chance = random.Random(seed)
    events: list[UnitEvent] = []
    for number in range(60):
        unit, at = f"u{number}", START + chance.uniform(0, 100 * HOUR_S)
        arm = chance.choice(RULES.arms)
        events += [exposure(unit, at + each * HOUR_S, arm, chance.choice([0, 0, 50]) * HOUR_S) for each in range(2)]
        for _ in range(chance.randrange(6)):
            when, late = at + chance.uniform(-40, 40) * HOUR_S, chance.choice([0.0, 1.0, 5.0, 30.0]) * HOUR_S
            events.append(event(unit, chance.choice(["click", "buy"]), when, chance.uniform(0, 9), late))
    again = [replace(each, received=each.received + chance.uniform(0, 50) * HOUR_S) for each in events]
    return events + chance.sample(again, len(again) // 2)


def _by_hand(events: Iterable[UnitEvent], until: float) -> dict[str, tuple[float, ...]]:
    """The same rules, written for people."""
    first: dict[tuple[str, str], UnitEvent] = {}
    for each in sorted(events, key=lambda one: one.received):
        if each.received <= until:
            first.setdefault((each.unit, each.id), each)
    found: dict[str, tuple[float, ...]] = {}
    for unit in sorted({each.unit for each in first.values()}):
        own = sorted((each for each in first.values() if each.unit == unit), key=lambda one: one.at)
        shown = [each for each in own if each.name == "exposure" and each.received <= each.at + RULES.late_s]
        if not shown or shown[0].at + RULES.window_s + RULES.late_s > until:
            continue
        at, arm = shown[0].at, RULES.arms.index(shown[0].arm)
        known = [each for each in own if each.received <= at + RULES.window_s + RULES.late_s]
        after = [each for each in known if at <= each.at < at + RULES.window_s]
        clicks = sum(each.name == "click" for each in after)
        before = sum(each.name == "click" and at - 48 * HOUR_S <= each.at < at for each in known)
        spent = sum(each.value for each in after if each.name == "buy")
        found[unit] = (arm, clicks, round(spent, 6), min(clicks, 1), before)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_late_repeated_and_disordered_events_change_no_counted_number(tmp_path: Path, seed: int) -> None:
    events = _stream(seed)
    ordered, shuffled = EventLog(tmp_path / "ordered"), EventLog(tmp_path / "shuffled")
    everything = sorted(events, key=lambda each: each.received)
    ordered.append(everything)
    random.Random(seed).shuffle(events)
    for begin in range(0, len(events), 80):
        shuffled.append(events[begin : begin + 120])  # many of them twice
    looks = [START + hours * HOUR_S for hours in (20, 40, 60, 90, 130, 200)]
    seen: dict[str, tuple[float, ...]] = {}
    for until in looks:
        now = counted(ordered, until)
        assert now == counted(shuffled, until) == _by_hand(everything, until)
        assert {unit: now[unit] for unit in seen} == seen, "a counted number has changed"
        seen = now
    assert len(seen) > 30


def test_what_was_not_yet_received_at_a_look_cannot_have_been_counted_at_it(tmp_path: Path) -> None:
    before, after, until = EventLog(tmp_path / "before"), EventLog(tmp_path / "after"), START + 60 * HOUR_S
    events = _stream(3)
    before.append([each for each in events if each.received <= until])
    after.append(events)
    assert counted(before, until) == counted(after, until) != {}


def test_a_unit_that_was_shown_two_arms_keeps_its_first_and_is_told(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append([exposure("a", START, "treatment"), exposure("a", START + 1, "control"), exposure("b", START)])
    found = count_units(log, RULES, (), START + 1e6)
    assert dict(zip(found.unit, found.arm, strict=True)) == {"a": 1, "b": 0}
    assert found.mixed == 1
    assert sorted(found.entered) == [0, 1]


def test_a_deleted_unit_is_in_no_file_and_the_others_are_as_before(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for each in np.array_split(np.array(_stream(1), dtype=object), 5):
        log.append(list(each))
    others = {unit: numbers for unit, numbers in counted(log).items() if unit != "u7"}
    kept = set(log.files())
    assert log.delete("u7") > 0
    assert counted(log) == others
    assert not any(b"u7\0" in path.read_bytes() for path in log.files())
    assert log.delete("u7") == 0
    assert kept & set(log.files()), "files without the unit are not touched"


def test_hours_that_are_over_become_one_file_each_and_count_as_before(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for each in np.array_split(np.array(_stream(1), dtype=object), 8):
        log.append(list(each))
    before, files = counted(log), len(log.files())
    assert log.compact(START + 1e6) == files - len(log.files()) > 0
    assert counted(log) == before
    assert len({path.parent for path in log.files()}) == len(log.files())
    assert log.compact(START + 1e6) == 0


LINE = {"id": "1", "unit": "phone", "name": "click", "at": START}


def test_a_line_is_read_with_what_it_leaves_out() -> None:
    found = list(read_lines([json.dumps(LINE).encode(), b"\n", json.dumps({**LINE, "value": 2}).encode()], START + 5))
    assert [each.value for each in found] == [1.0, 2.0]
    assert found[0].received == START + 5


def test_a_clock_ahead_of_the_server_s_cannot_put_an_event_into_the_future() -> None:
    (found,) = read_lines([json.dumps({**LINE, "at": START + 999}).encode()], START)
    assert found.at == START


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "line 1: id"),
        ({"unit": "u" * 129}, "line 1: unit"),
        ({"at": "yesterday"}, "line 1: at"),
        ({"value": 1e16}, "line 1: value"),
        ({"value": True}, "line 1: value"),
        ({"colour": "red"}, "line 1 has no field 'colour'"),
        ({"attributes": {"class": [1]}}, "line 1: attributes: 'class'"),
        ({"name": "n" * 9_000}, "line 1: more than 8,192 bytes"),
    ],
)
def test_a_line_that_is_no_event_is_an_error_with_its_number(change: dict[str, object], message: str) -> None:
    with pytest.raises(EventLineError, match=message):
        list(read_lines([json.dumps({**LINE, **change}).encode()], START))


WRITER = """
import sys
from pathlib import Path
from lykeion.delivery.experiments.events import EventLog, UnitEvent
log = EventLog(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    events = [UnitEvent(f"{number}.{each}", f"u{number}", "exposure", 1796000000.0 + each, 1796000000.0 + each,
        experiment="try", arm="control") for each in range(50)]
    log.append(events)
    print(number, flush=True)
    if number % 3 == 0:
        log.delete(f"u{number}")
        print(f"-{number}", flush=True)
    if number % 4 == 0:
        log.compact(1796900000.0)
"""


def _killed(directory: Path, after: int) -> Sequence[str]:
    """What a writer said that it had done before it was killed."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    said = [writer.stdout.readline().strip() for _ in range(after)]
    time.sleep(random.Random(after).uniform(0, 0.03))
    os.kill(writer.pid, signal.SIGKILL)
    rest, _ = writer.communicate()
    return [*said, *rest.split()]


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 5, 8, 11])
def test_a_killed_writer_loses_nothing_that_it_said_was_written_and_leaves_no_part_of_a_file(
    tmp_path: Path, after: int
) -> None:
    said = _killed(tmp_path, after)
    written = {f"u{each}" for each in said if not each.startswith("-")}
    deleted = {f"u{each[1:]}" for each in said if each.startswith("-")}
    log = EventLog(tmp_path)
    found = set(counted(log))
    assert written - deleted <= found | {f"u{len(written)}"}  # the last may have been being deleted
    assert not found & deleted
    log.compact(START + 1e6)
    assert set(counted(log)) == found
