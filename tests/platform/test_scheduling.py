"""Scheduled runs: on time, once, and the latest of those that were missed."""

from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import ResourceError, read_as
from lykeion.core.fields import Field
from lykeion.platform.policies.lifecycle.scheduling import InvalidSchedule, scheduled_times
from lykeion.platform.resources.runs.schedule import Schedule


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_run_is_due_at_its_minute_and_once() -> None:
    nightly = Schedule(cron="0 3 * * *")
    before = scheduled_times(nightly, _at("2026-11-01T12:00:00"), _at("2026-11-02T02:59:59"))
    assert (before.due, before.again_s) == (None, 1)
    for second in ("00", "01", "59"):
        times = scheduled_times(nightly, _at("2026-11-01T12:00:00"), _at(f"2026-11-02T03:00:{second}"))
        assert times.due == _at("2026-11-02T03:00:00")
    assert scheduled_times(nightly, _at("2026-11-02T03:00:00"), _at("2026-11-02T03:00:30")).due is None


def test_of_missed_runs_the_latest_within_the_deadline_is_run() -> None:
    hourly = Schedule(cron="0 * * * *", starting_deadline_seconds=1800)
    last = _at("2026-11-01T00:00:00")
    assert scheduled_times(hourly, last, _at("2026-11-05T10:20:00")).due == _at("2026-11-05T10:00:00")
    assert scheduled_times(hourly, last, _at("2026-11-05T10:40:00")).due is None


def test_times_are_those_of_the_time_zone_through_changes_of_the_clock() -> None:
    berlin = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
    summer = scheduled_times(berlin, _at("2026-07-01T00:00:00"), _at("2026-07-02T00:30:00"))
    assert summer.due == _at("2026-07-02T00:30:00")
    skipped = scheduled_times(berlin, _at("2026-03-28T12:00:00"), _at("2026-03-29T01:00:00"))
    assert skipped.due == _at("2026-03-29T01:00:00")
    first = scheduled_times(berlin, _at("2026-10-24T12:00:00"), _at("2026-10-25T00:31:00"))
    assert first.due == _at("2026-10-25T00:30:00")
    assert scheduled_times(berlin, _at("2026-10-25T00:30:00"), _at("2026-10-25T01:31:00")).due is None


@given(st.datetimes(datetime(2026, 10, 24), datetime(2026, 10, 26)), st.integers(0, 59))
def test_every_minute_is_due_in_each_of_them(minute: datetime, second: int) -> None:
    always = Schedule(cron="* * * * *", time_zone="Europe/Berlin")
    start = minute.replace(second=0, microsecond=0, tzinfo=UTC)
    times = scheduled_times(always, start - timedelta(minutes=1), start + timedelta(seconds=second))
    assert times.due == start
    assert times.again_s == 60 - second


@given(st.integers(0, 7199), st.sampled_from(["30 2 * * *", "15,45 1-3 * * *"]))
def test_the_next_time_is_to_come_also_in_an_hour_that_occurs_twice(second: int, cron: str) -> None:
    now = _at("2026-10-25T00:00:00") + timedelta(seconds=second)  # from 02:00, through 02:59 again, to 02:59
    assert scheduled_times(Schedule(cron=cron, time_zone="Europe/Berlin"), now, now).again_s > 0


@pytest.mark.parametrize(
    ("cron", "zone", "message"),
    [
        ("0 0 * * *", "Mars/Olympus", "timeZone 'Mars/Olympus' is not known"),
        ("0 0 * * *", "../../etc/passwd", "timeZone .* is not known"),
    ],
)
def test_a_schedule_that_cannot_be_is_an_error(cron: str, zone: str, message: str) -> None:
    now = _at("2026-11-01T00:00:00")
    with pytest.raises(InvalidSchedule, match=message):
        scheduled_times(Schedule(cron=cron, time_zone=zone), now, now)


def _read(cron: str) -> Schedule:
    return read_as(Schedule, Field("schedule", {"cron": cron}, ResourceError))


OUT_OF_RANGE = ["61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"]
NO_FIELDS = ["* * *", "* * * * * *", "a b c d e", "-5 * * * *", "1- * * * *", "1,,2 * * * *", "* * W * *"]


@pytest.mark.parametrize("cron", [*OUT_OF_RANGE, *NO_FIELDS])
def test_a_field_out_of_its_range_is_refused_where_it_is_read_as_on_a_cluster(cron: str) -> None:
    with pytest.raises(ResourceError, match=r"cron is '.*'; it must be minute \(0-59\), hour \(0-23\)"):
        _read(cron)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "5-2 * * * *", "* * * ABC *", "* * * * XYZ"])
def test_a_schedule_without_any_time_is_refused_where_it_is_read(cron: str) -> None:
    with pytest.raises(ResourceError, match="schedule: no time matches cron"):
        _read(cron)


def _lists(values: st.SearchStrategy[str], *special: str) -> st.SearchStrategy[str]:
    ranges = st.one_of(st.just("*"), values, st.tuples(values, values).map("-".join))
    stepped = st.tuples(ranges, st.integers(1, 70)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    items = st.one_of(ranges, stepped, *map(st.just, special))
    return st.lists(items, min_size=1, max_size=3).map(",".join)


def _numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).flatmap(lambda number: st.sampled_from([str(number), f"{number:02d}"]))


expressions = st.tuples(
    _lists(_numbers(0, 62)),
    _lists(_numbers(0, 25)),
    _lists(_numbers(0, 32), "L", "LW"),
    _lists(_numbers(0, 13) | st.sampled_from(["JAN", "dec"])),
    _lists(st.integers(0, 8).map(str) | st.sampled_from(["SUN", "fri"]), "5L", "1#2", "MON#1", "1#6"),
).map(" ".join)


@given(expressions)
def test_what_is_read_has_a_next_time_and_nothing_else_is_refused(cron: str) -> None:
    try:
        expected = next(CronSim(cron, datetime(2026, 11, 1, tzinfo=UTC)), None)
    except CronSimError:
        expected = None
    if len(cron) > 128 or expected is None:
        with pytest.raises(ResourceError):
            _read(cron)
    else:
        assert scheduled_times(_read(cron), _at("2026-11-01T00:00:00"), _at("2026-11-01T00:00:00")).again_s > 0
