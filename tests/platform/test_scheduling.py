"""Scheduled runs: on time, once, and the latest of those that were missed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.platform.policies.scheduling import InvalidSchedule, scheduled_times
from lykeion.platform.resources.schedule import Schedule


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
        ("61 * * * *", "UTC", "cron '61 . . . .': Bad minute"),
        ("0 0 30 2 *", "UTC", "cron '0 0 30 2 .': "),
        ("0 0 * * *", "Mars/Olympus", "timeZone 'Mars/Olympus' is not known"),
        ("0 0 * * *", "../../etc/passwd", "timeZone .* is not known"),
    ],
)
def test_a_schedule_that_cannot_be_is_an_error(cron: str, zone: str, message: str) -> None:
    now = _at("2026-11-01T00:00:00")
    with pytest.raises(InvalidSchedule, match=message):
        scheduled_times(Schedule(cron=cron, time_zone=zone), now, now)
