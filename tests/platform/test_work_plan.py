"""What is started and stopped of a Work, decided from the attempts there were."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import is_true
from lykeion.platform.local.processes.attempt import SHUTDOWN, SUSPENDED, TIME_LIMIT, Attempt
from lykeion.platform.local.supervision import work_history
from lykeion.platform.local.supervision.work_history import WorkHistory
from lykeion.platform.local.supervision.work_plan import plan_work
from lykeion.platform.policies.attempts.retry import LAST_DELAY_S, delay_s
from lykeion.platform.resources.plain_kinds.index_ranges import from_ranges
from lykeion.platform.resources.plain_kinds.work import Role
from lykeion.platform.resources.programs.failure_rule import FailureRule

from .batches import work

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _ended(index: int, number: int = 0, *, code: int | None = 1, reason: str = "", at: datetime = NOON) -> Attempt:
    return Attempt(index, number, at, at, code, reason, "a last line")


def _plan(attempts: list[Attempt], *, now: datetime = NOON, room: int = 100, **spec: Any) -> Any:
    return _planned(work(**spec), attempts, now, room)


def _planned(asked: Any, attempts: Iterable[Attempt], now: datetime, room: int) -> Any:
    parts = [[each for each in attempts if (each.ended is None) == active] for active in (False, True)]
    return plan_work(asked, WorkHistory(parts[0]), parts[1], now, room)


def test_as_many_are_started_as_may_run_at_a_time_and_as_fit() -> None:
    assert _plan([], completions=5, parallelism=2).start == ((0, 0), (1, 0))
    assert _plan([], completions=5, parallelism=3, room=1).start == ((0, 0),)
    assert _plan([Attempt(0, 0, NOON)], completions=5, parallelism=3).start == ((1, 0), (2, 0))
    assert _plan([], completions=2, parallelism=9).start == ((0, 0), (1, 0))


def test_a_failed_index_waits_before_its_next_attempt_and_others_go_on() -> None:
    failed = [_ended(0)]
    plan = _plan(failed, completions=2, retries=1)
    assert plan.start == ((1, 0),)
    assert plan.again_s == delay_s(1)
    assert _plan(failed, completions=2, retries=1, now=NOON + timedelta(seconds=delay_s(1))).start == ((0, 1),)


def test_what_has_failed_for_hours_waits_the_longest_delay() -> None:
    assert delay_s(2000) == LAST_DELAY_S


def test_an_index_has_failed_when_its_retries_are_used_up() -> None:
    plan = _plan([_ended(0), _ended(0, 1)], completions=2, retries=1, parallelism=2)
    assert plan.status.failed == "0"
    assert plan.start == ((1, 0),)
    plan = _plan([_ended(0), _ended(0, 1), _ended(1, code=0)], completions=2, retries=1)
    assert is_true(plan.status.conditions, "Failed")
    assert [(each.index, each.attempt, each.exit_code) for each in plan.status.failures] == [(0, 0, 1), (0, 1, 1)]


def test_failures_that_count_are_told_of_indexes_that_have_not_succeeded() -> None:
    ignore = FailureRule(action="Ignore", exit_codes=(9,))
    attempts = [
        *(_ended(0, number, code=code) for number, code in enumerate((1, 9, 1))),
        _ended(1, reason=SHUTDOWN),
        *(_ended(2, number, code=code) for number, code in enumerate((1, 0))),
        _ended(3),
    ]
    plan = _plan(attempts, completions=5, retries=4, on_failure=(ignore,))
    assert [(each.failures, each.indexes) for each in plan.status.used] == [(1, "3"), (2, "0")]


def test_what_was_suspended_or_shut_down_is_no_failure() -> None:
    attempts = [_ended(0, 0, code=None, reason=SHUTDOWN), _ended(0, 1, code=0, reason=SUSPENDED)]
    plan = _plan(attempts, completions=1, retries=0)
    assert plan.start == ((0, 2),)
    assert plan.status.failures == ()


def test_what_is_done_is_not_run_again() -> None:
    assert _plan([], completions=4, done="0-1,3", parallelism=9).start == ((2, 0),)
    plan = _plan([_ended(2, code=0)], completions=4, done="0-1,3")
    assert plan.status.succeeded == "0-3"
    assert is_true(plan.status.conditions, "Complete")


def test_an_attempt_beyond_its_time_limit_is_stopped_and_has_failed() -> None:
    running = Attempt(0, 0, NOON)
    plan = _plan([running], completions=1, time_limit_seconds=60)
    assert plan.stop == ()
    assert plan.again_s == 60
    later = NOON + timedelta(seconds=60)
    assert _plan([running], completions=1, time_limit_seconds=60, now=later).stop == ((running, TIME_LIMIT),)
    assert _plan([_ended(0, code=None, reason=TIME_LIMIT)], completions=1).status.failed == "0"


def test_suspended_work_stops_what_runs_and_starts_nothing() -> None:
    running = Attempt(0, 0, NOON)
    plan = _plan([running], completions=3, parallelism=3, suspend=True)
    assert plan.start == ()
    assert plan.stop == ((running, SUSPENDED),)


def test_the_result_is_that_of_the_first_index_when_it_has_succeeded() -> None:
    wrong, right = (replace(_ended(0, number, code=code), result=str(number)) for number, code in ((0, 1), (1, 0)))
    other = replace(_ended(1, code=0), result="other")
    assert _plan([wrong, other], completions=2).status.result == ""
    assert _plan([wrong, right, other], completions=2).status.result == "1"


def test_only_the_last_attempts_and_those_that_count_are_kept() -> None:
    spec = work(2, retries=9, on_failure=(FailureRule(action="Ignore", exit_codes=(9,)),)).spec
    history = WorkHistory()
    forgotten: list[int] = []
    codes = {1: 1, 4: 0}
    for number in range(9):
        reason = SHUTDOWN if number == 4 else ""
        history.add(_ended(0, number, code=codes.get(number, 9), reason=reason))
        forgotten += [each.number for each in history.forget_old(0, spec)]
    assert forgotten == [0, 2, 3, 4, 5]
    assert [each.number for each in history.all()] == [1, 6, 7, 8]
    assert (history.next_number(0), history.next_number(1), history.begun) == (9, 0, 9)
    adopted = WorkHistory(history.all())
    assert (adopted.next_number(0), adopted.begun) == (9, 9)


def test_failures_are_judged_once_however_many_steps_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    monkeypatch.setattr(work_history, "used_up", lambda spec, failures: judged.append(len(failures)) or True)
    asked, history = work(1000), WorkHistory(_ended(index) for index in range(900))
    for index in range(900, 910):
        plan_work(asked, history, (), NOON, 10)
        history.add(_ended(index))
    assert plan_work(asked, history, (), NOON, 10).status.failed == "0-909"
    assert len(judged) == 910


def test_of_processes_that_run_all_at_once_whole_attempts_are_kept() -> None:
    ignore = FailureRule(action="Ignore", exit_codes=(9,))
    spec = work(2, roles=(Role(name="worker", replicas=2),), on_failure=(ignore,)).spec
    history, forgotten = WorkHistory(), []
    for number in range(5):
        first, later = (9, 1) if number == 0 else (1, 9) if number == 1 else (0, 0)
        for index, code in ((0, first), (1, later)):
            history.add(_ended(index, number, code=code, at=NOON + timedelta(seconds=index)))
            forgotten += [each.name for each in history.forget_old(index, spec)]
    assert forgotten == ["0-0", "1-0"]
    assert len(history.all()) == 8


def test_rules_that_change_are_applied_to_earlier_failures() -> None:
    failed = [_ended(0), _ended(0, 1)]
    history = WorkHistory(failed)
    assert history.failed(work(1, retries=1).spec) == {0}
    assert history.failed(work(1, retries=2).spec) == set()
    history.add(_ended(0, 2))
    assert history.failed(work(1, retries=2).spec) == {0}


@given(st.integers(0, 1 << 32), st.integers(1, 8), st.integers(1, 4), st.integers(0, 2), st.integers(0, 3))
def test_any_course_of_events_ends_with_each_index_tried_as_often_as_it_may_be(
    seed: int, completions: int, parallelism: int, retries: int, room: int
) -> None:
    random, asked = Random(seed), work(completions, parallelism=parallelism, retries=retries)
    attempts: dict[tuple[int, int], Attempt] = {}
    now = NOON
    for _ in range(400):
        room_now = random.randint(0, room) + (random.random() < 0.5)
        suspended = random.random() < 0.2
        asked = replace(asked, spec=structs.replace(asked.spec, suspend=suspended))
        plan = _planned(asked, attempts.values(), now, room_now)
        active = [each for each in attempts.values() if each.ended is None]
        assert len(plan.start) <= max(0, min(parallelism - len(active), room_now))
        assert not (suspended and plan.start)
        assert {index for index, _ in plan.start}.isdisjoint(each.index for each in active)
        assert all(key not in attempts for key in plan.start)
        asked = replace(asked, status=plan.status)
        for attempt, reason in plan.stop:
            _end(attempts, attempt, now, random.choice((None, 0, 143)), reason)
        for index, number in plan.start:
            attempts[index, number] = Attempt(index, number, now)
        for attempt in [each for each in attempts.values() if each.ended is None and random.random() < 0.5]:
            _end(attempts, attempt, now, random.choice((0, 1, None)), random.choice(("", "", SHUTDOWN)))
        now += timedelta(seconds=random.choice((0, 1, LAST_DELAY_S)))
        if is_true(plan.status.conditions, "Complete") or is_true(plan.status.conditions, "Failed"):
            break
    else:
        raise AssertionError("it did not end")
    status = asked.status
    done, failed = from_ranges(status.succeeded, completions), from_ranges(status.failed, completions)
    assert done | failed == set(range(completions))
    assert not done & failed
    assert is_true(status.conditions, "Failed") == bool(failed)
    for index in range(completions):
        tried = [each for each in attempts.values() if each.index == index]
        assert sum(each.failed for each in tried) <= retries + 1
        assert any(each.succeeded for each in tried) == (index in done)
        assert sum(each.succeeded for each in tried) <= 1


def _end(
    attempts: dict[tuple[int, int], Attempt], attempt: Attempt, now: datetime, code: int | None, reason: str
) -> None:
    lost = "Lost" if code is None and not reason else reason
    attempts[attempt.index, attempt.number] = replace(attempt, ended=now, exit_code=code, reason=lost)
