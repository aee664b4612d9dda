"""Processes of a distributed program run all at once or not at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import is_true
from lykeion.platform.local.processes.attempt import NO_ROOM, PEER_FAILED, SHUTDOWN, Attempt
from lykeion.platform.local.supervision.gang_plan import plan_gang
from lykeion.platform.policies.attempts.retry import LAST_DELAY_S, delay_s
from lykeion.platform.resources.plain_kinds.work import Role
from lykeion.platform.resources.programs.failure_rule import FailureRule

from .batches import work

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _plan(attempts: list[Attempt], *, workers: int = 2, now: datetime = NOON, room: int = 100, **spec: Any) -> Any:
    roles = (Role(name="worker", replicas=workers),)
    return plan_gang(work(workers, roles=roles, parallelism=workers, **spec), attempts, now, room)


def _ended(index: int, number: int = 0, *, code: int | None = 1, reason: str = "") -> Attempt:
    return Attempt(index, number, NOON, NOON, code, reason)


def test_nothing_starts_before_there_is_room_for_all() -> None:
    assert _plan([], workers=3, room=2).start == ()
    assert _plan([], workers=3, room=3).start == ((0, 0), (1, 0), (2, 0))


def test_starting_goes_on_after_a_crash_between_two_starts() -> None:
    assert _plan([Attempt(0, 4, NOON)], workers=3).start == ((1, 4), (2, 4))
    running = Attempt(0, 4, NOON)
    assert _plan([running], workers=3, room=1).stop == ((running, NO_ROOM),)


def test_the_failure_of_one_stops_all_and_all_start_again() -> None:
    other = Attempt(1, 0, NOON)
    plan = _plan([_ended(0), other], retries=1)
    assert plan.stop == ((other, PEER_FAILED),)
    assert plan.start == ()
    both = [_ended(0), _ended(1, code=143, reason=PEER_FAILED)]
    assert _plan(both, retries=1).again_s == delay_s(1)
    assert _plan(both, retries=1, now=NOON + timedelta(seconds=delay_s(1))).start == ((0, 1), (1, 1))
    assert is_true(_plan(both, retries=0).status.conditions, "Failed")


def test_failures_that_count_are_those_of_all_together() -> None:
    first = [_ended(0), _ended(1, code=143, reason=PEER_FAILED)]
    second = [_ended(0, 1), _ended(1, 1, code=9)]
    ignore = FailureRule(action="Ignore", exit_codes=(9,))
    plan = _plan([*first, *second], retries=3, on_failure=(ignore,))
    assert [(each.failures, each.indexes) for each in plan.status.used] == [(2, "0-1")]
    good = [_ended(index, 2, code=0) for index in (0, 1)]
    assert _plan([*first, *second, *good], retries=3).status.used == ()


def test_a_rule_fails_it_at_once_or_ignores_the_failure() -> None:
    both = [_ended(0, code=3), _ended(1, code=143, reason=PEER_FAILED)]
    fail, ignore = (FailureRule(action=action, exit_codes=(3,)) for action in ("Fail", "Ignore"))
    assert is_true(_plan(both, retries=9, on_failure=(fail,)).status.conditions, "Failed")
    later = NOON + timedelta(seconds=delay_s(1))
    assert _plan(both, retries=0, on_failure=(ignore,), now=later).start == ((0, 1), (1, 1))


@given(st.integers(0, 1 << 32), st.integers(1, 5), st.integers(0, 2))
def test_any_course_of_events_ends_with_all_or_none(seed: int, workers: int, retries: int) -> None:
    random = Random(seed)
    asked = work(workers, roles=(Role(name="worker", replicas=workers),), parallelism=workers, retries=retries)
    attempts: dict[tuple[int, int], Attempt] = {}
    now = NOON
    for _ in range(600):
        asked = replace(asked, spec=structs.replace(asked.spec, suspend=random.random() < 0.1))
        active = [each for each in attempts.values() if each.ended is None]
        room = workers - len(active) if random.random() < 0.7 else random.randint(0, workers - len(active))
        plan = plan_gang(asked, list(attempts.values()), now, room)
        asked = replace(asked, status=plan.status)
        assert len(plan.start) <= room
        assert len({number for _, number in plan.start} | {each.number for each in active}) <= 1
        assert not any(each.ended and not each.succeeded for each in attempts.values() for key in plan.start
                       if each.number == key[1])  # fmt: skip
        for attempt, reason in plan.stop:
            _end(attempts, attempt, now, random.choice((None, 0, 143)), reason)
        for index, number in plan.start:
            if random.random() < 0.1:
                break  # killed between two starts
            attempts[index, number] = Attempt(index, number, now)
        for attempt in [each for each in attempts.values() if each.ended is None and random.random() < 0.5]:
            _end(attempts, attempt, now, random.choice((0, 0, 0, 1)), random.choice(("", "", SHUTDOWN)))
        now += timedelta(seconds=random.choice((0, 1, LAST_DELAY_S)))
        if is_true(plan.status.conditions, "Complete") or is_true(plan.status.conditions, "Failed"):
            break
    else:
        raise AssertionError("it did not end")
    whole = [
        number
        for number in {each.number for each in attempts.values()}
        if sum(each.succeeded for each in attempts.values() if each.number == number) == workers
    ]
    assert len(whole) == is_true(asked.status.conditions, "Complete")
    assert len({each.number for each in attempts.values() if each.failed}) <= retries + 1


def _end(
    attempts: dict[tuple[int, int], Attempt], attempt: Attempt, now: datetime, code: int | None, reason: str
) -> None:
    attempts[attempt.index, attempt.number] = replace(attempt, ended=now, exit_code=code, reason=reason)
