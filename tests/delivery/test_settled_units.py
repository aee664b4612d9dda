"""A report that reads only the events since the last settled day says what one says that reads all of them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.delivery.experiments.events import CountingRules, EventLog, EventMeasure, UnitEvent, count_units
from lykeion.delivery.experiments.events.settled_units import DAY_S

HOUR = 3_600.0
START = 20_000 * DAY_S + 5 * HOUR
ARMS = ("control", "treatment")
MEASURES = (
    EventMeasure("click", "Count"),
    EventMeasure("buy", "Sum"),
    EventMeasure("click", "Any", 30 * HOUR),
)


def rules(window_h: float, late_h: float, period_h: float) -> CountingRules:
    stop = START + 9 * DAY_S
    return CountingRules("try", ARMS, window_h * HOUR, late_h * HOUR, START, stop, period_h * HOUR, period_h * 360.0)


RULES = st.builds(rules, st.sampled_from([1, 20, 47]), st.sampled_from([0, 3, 30]), st.sampled_from([0, 0, 24]))


@st.composite
def events(draw: st.DrawFn) -> UnitEvent:
    """Any id may come again, with another name, at another time: the first that was received counts."""
    name = draw(st.sampled_from(["exposure", "click", "buy"]))
    at = START + draw(st.integers(-30, 240)) * HOUR + draw(st.sampled_from([0.0, 0.5]))
    late = draw(st.sampled_from([0.0, 0.0, 1.0, 2 * HOUR, 40 * HOUR, 100 * HOUR]))
    id, unit = draw(st.sampled_from("abcdefgh")), draw(st.sampled_from(["u", "v", "w"]))
    arm = draw(st.sampled_from(ARMS)) if name == "exposure" else ""
    return UnitEvent(id, unit, name, at, at + late, float(draw(st.integers(0, 3))), "try" if arm else "", arm)


def same(log: EventLog, counting: CountingRules, until: float) -> None:
    quick, whole = (count_units(log, counting, MEASURES, until, fresh=fresh) for fresh in (False, True))
    assert quick.mixed == whole.mixed
    for one, other in (
        (quick.unit, whole.unit), (quick.arm, whole.arm), (quick.at, whole.at), (quick.entered, whole.entered),
        (quick.attributes, whole.attributes), *zip(quick.measures, whole.measures, strict=True),
    ):  # fmt: skip
        assert np.array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(
    RULES,
    st.lists(st.lists(events(), min_size=1, max_size=12), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["", "compact", "delete"])), min_size=1, max_size=5),
)
def test_settled_days_change_no_number_whatever_comes_when_and_whenever_it_is_looked(
    counting: CountingRules, parts: list[list[UnitEvent]], looks: list[tuple[int, str]]
) -> None:
    with TemporaryDirectory() as directory:
        log = EventLog(Path(directory))
        for place, (hours, then) in enumerate(looks):
            if place < len(parts):
                log.append(parts[place])
            same(log, counting, START + hours * HOUR)
            if then == "compact":
                log.compact(START + hours * HOUR)
            if then == "delete":
                log.delete("u")
            same(log, counting, START + hours * HOUR)


def click(number: int, unit: str, at: float, name: str = "click") -> UnitEvent:
    arm = ARMS[number % 2] if name == "exposure" else ""
    return UnitEvent(f"{name}{number}", unit, name, at, at, 1.0, "try" if arm else "", arm)


def test_what_is_settled_is_not_counted_again_and_what_is_deleted_is_in_no_file(tmp_path: Path) -> None:
    log, counting = EventLog(tmp_path), rules(1, 0, 0)
    for day in range(5):
        at = START + day * DAY_S
        log.append([click(day, f"u{day}", at, "exposure"), click(day, f"u{day}", at + 60)])
    until = START + 5 * DAY_S
    count_units(log, counting, MEASURES, until)
    (kept,) = log.derived.glob("*.parquet")
    with duckdb.connect() as base:  # what is read of it is what is said
        base.execute(f"COPY (SELECT * REPLACE (m0 + 7 AS m0) FROM '{kept}') TO '{tmp_path}/other.parquet'")
    kept.write_bytes((tmp_path / "other.parquet").read_bytes())
    assert count_units(log, counting, MEASURES, until).measures[0].tolist() == [8.0] * 5
    log.files()[0].unlink()
    assert len(count_units(log, counting, MEASURES, until).unit) == 4, "other files have another name"
    log.delete("u3")
    assert not log.derived.exists()
    assert len(count_units(log, counting, MEASURES, until).unit) == 3
