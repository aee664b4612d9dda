"""What is started, drained and stopped of a ReplicaGroup, decided from its replicas."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from lykeion.control import read_as
from lykeion.core.fields import Field
from lykeion.platform.local.processes.attempt import NOT_LIVE, NOT_READY, SCALED, SHUTDOWN, Attempt
from lykeion.platform.local.supervision.group_plan import STEADY_S, GroupPlan, RunningReplica, plan_group
from lykeion.platform.policies.attempts.retry import LAST_DELAY_S, delay_s
from lykeion.platform.resources.plain_kinds.replica_group import Readiness, ReplicaGroupStatus

from .batches import replica_group

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def _plan(
    *replicas: RunningReplica, ended: tuple[Attempt, ...] = (), now: datetime = NOON, room: int = 9, **spec: Any
) -> Any:
    return plan_group(replica_group(**spec), replicas, {each.index: each for each in ended}, now, room)


def _ready(index: int, **what: Any) -> RunningReplica:
    return RunningReplica(Attempt(index, 0, NOON), ready=True, **what)


def _ended(ran_s: float, **what: Any) -> Attempt:
    return Attempt(0, 4, NOON, _later(ran_s), **{"exit_code": 1, **what})


def test_as_many_are_started_as_are_wanted_and_as_fit() -> None:
    assert [each.name for each in _plan(replicas=2).start] == ["0-0", "1-0"]
    assert [each.name for each in _plan(_ready(0), replicas=2).start] == ["1-0"]
    plan = _plan(replicas=3, room=1)
    assert [each.name for each in plan.start] == ["0-0"]
    assert plan.waiting == 2


def test_a_replica_that_ends_is_started_again_after_a_delay_that_grows() -> None:
    first, later = _ended(1), _ended(1, failures=3)
    assert _plan(ended=(first,), now=_later(1)).start == ()
    assert _plan(ended=(first,), now=_later(1)).again_s == delay_s(1)
    assert [each.name for each in _plan(ended=(first,), now=_later(1 + delay_s(1))).start] == ["0-5"]
    (again,) = _plan(ended=(later,), now=_later(1 + delay_s(4))).start
    assert (again.failures, again.restarts) == (4, 1)


def test_a_replica_that_ran_well_starts_from_the_short_delay() -> None:
    ended = _ended(STEADY_S, failures=9)
    (again,) = _plan(ended=(ended,), now=_later(STEADY_S + delay_s(1))).start
    assert again.failures == 1


def test_a_program_that_ends_well_is_started_again_as_well() -> None:
    assert _plan(ended=(_ended(1, exit_code=0),), now=_later(9)).start


def test_what_was_shut_down_starts_at_once_and_is_no_restart() -> None:
    plan = _plan(ended=(_ended(1, reason=SHUTDOWN, restarts=2),), now=_later(1))
    assert [each.restarts for each in plan.start] == [2]
    assert plan.status.restarts == 2
    assert plan.status.last_exit == ""


def test_the_status_says_how_the_last_replica_ended_and_how_often() -> None:
    status = _plan(ended=(_ended(3, restarts=2, message="cannot read model"),), now=_later(3)).status
    assert (status.restarts, status.last_exit, status.last_exit_time) == (
        3, "exit code 1: cannot read model", _later(3),
    )  # fmt: skip


def test_a_long_last_line_leaves_a_status_that_can_be_read_back() -> None:
    status = _plan(ended=(_ended(3, message="x" * 600),), now=_later(3)).status
    assert read_as(ReplicaGroupStatus, Field("status", to_builtins(status))) == status


def test_only_ready_replicas_that_are_kept_serve() -> None:
    starting = RunningReplica(Attempt(1, 0, NOON), starting_since=NOON)
    stopping = RunningReplica(Attempt(2, 0, NOON, stopping=SHUTDOWN), ready=True)
    plan = _plan(_ready(0), starting, stopping, _ready(3), replicas=3)
    assert [each.name for each in plan.serving] == ["0-0"]
    assert (plan.status.replicas, plan.status.ready) == (4, 1)


def test_scaling_down_drains_first_and_stops_once_nothing_is_in_flight() -> None:
    plan = _plan(_ready(0), _ready(1))
    assert ([each.name for each in plan.drain], plan.stop) == (["1-0"], ())
    assert _plan(_ready(0), _ready(1, draining_since=NOON, busy=True)).stop == ()
    assert _plan(_ready(0), _ready(1, draining_since=NOON)).stop == ((Attempt(1, 0, NOON), SCALED),)


def test_what_does_not_drain_in_time_is_stopped_with_its_requests() -> None:
    busy = _ready(1, draining_since=NOON, busy=True)
    assert _plan(_ready(0), busy, drain_seconds=5, now=_later(4)).stop == ()
    assert _plan(_ready(0), busy, drain_seconds=5, now=_later(5)).stop == ((Attempt(1, 0, NOON), SCALED),)


def test_scaling_up_again_keeps_what_was_draining() -> None:
    plan = _plan(_ready(0), _ready(1, draining_since=NOON), replicas=2)
    assert (plan.drain, plan.stop, plan.start) == ((), (), ())
    assert len(plan.serving) == 2


def test_what_was_told_to_end_is_ended_whatever_is_wanted_now() -> None:
    stopping = Attempt(0, 0, NOON, stopping=SCALED)
    plan = _plan(RunningReplica(stopping, ready=True), replicas=1)
    assert plan.stop == ((stopping, SCALED),)
    assert plan.start == ()


def test_a_replica_that_is_not_ready_in_time_is_restarted_but_one_that_was_is_not() -> None:
    spec = {"readiness": Readiness(startup_seconds=60)}
    starting = RunningReplica(Attempt(0, 0, NOON), starting_since=NOON)
    assert _plan(starting, **spec, now=_later(59)).again_s == 1
    assert _plan(starting, **spec, now=_later(60)).stop == ((starting.attempt, NOT_READY),)
    assert _plan(RunningReplica(Attempt(0, 0, NOON)), **spec, now=_later(6000)).stop == ()


def test_a_replica_that_fails_its_liveness_checks_gets_no_requests_and_is_restarted() -> None:
    dead = _ready(0, live=False)
    plan = _plan(dead)
    assert (plan.serving, plan.stop) == ((), ((dead.attempt, NOT_LIVE),))
    ended = _ended(1, reason=NOT_LIVE, message="listening")
    plan = _plan(ended=(ended,), now=_later(1 + delay_s(1)))
    assert [(each.number, each.restarts, each.failures) for each in plan.start] == [(5, 1, 1)]
    assert plan.status.last_exit == "NotLive: listening"


def test_a_replica_that_is_to_end_is_drained_even_if_it_fails_its_liveness_checks() -> None:
    assert _plan(_ready(0), _ready(1, live=False, draining_since=NOON, busy=True)).stop == ()


@given(st.integers(0, 1 << 32), st.integers(0, 3))
def test_any_course_of_events_comes_to_rest_with_as_many_replicas_as_are_wanted(seed: int, room: int) -> None:
    random, running, ended = Random(seed), dict[int, RunningReplica](), dict[int, Attempt]()
    now, group = NOON, replica_group(0)
    for turn in range(120):
        calm = turn >= 60
        wanted = 2 if calm else random.randint(0, 4)
        room_now = 4 if calm else random.randint(0, room)
        group = replica_group(wanted)
        plan = plan_group(group, list(running.values()), ended, now, room_now)
        _check(plan, running, wanted, room_now)
        _carry_out(plan, running, now)
        if not calm:
            _disturb(running, ended, random, now)
        for index in [
            index for index, each in running.items() if each.attempt.stopping and (calm or random.random() < 0.5)
        ]:
            gone = running.pop(index).attempt
            ended[index] = replace(gone, ended=now, reason=gone.stopping)
        now += timedelta(seconds=LAST_DELAY_S if calm else random.choice((0, 1, 30)))
    assert sorted(each.attempt.index for each in running.values()) == [0, 1]
    assert plan.status.ready == 2


def _check(plan: GroupPlan, running: dict[int, RunningReplica], wanted: int, room: int) -> None:
    assert len(plan.start) <= room
    assert {each.index for each in plan.start}.isdisjoint(running)
    assert all(each.index < wanted for each in (*plan.start, *plan.serving))
    stopped = {attempt.name for attempt, _ in plan.stop}
    assert stopped.isdisjoint(each.name for each in (*plan.serving, *plan.drain))
    assert all(not each.stopping for each in (*plan.serving, *plan.drain))


def _carry_out(plan: GroupPlan, running: dict[int, RunningReplica], now: datetime) -> None:
    draining = {each.index for each in plan.drain}
    for index, each in running.items():
        running[index] = replace(
            each, ready=True, draining_since=now if index in draining else None, starting_since=None
        )
    for attempt, reason in plan.stop:
        each = running[attempt.index]
        running[attempt.index] = replace(each, attempt=replace(attempt, stopping=reason))
    for attempt in plan.start:
        running[attempt.index] = RunningReplica(attempt, starting_since=now)


def _disturb(running: dict[int, RunningReplica], ended: dict[int, Attempt], random: Random, now: datetime) -> None:
    for index in [index for index in running if random.random() < 0.2]:
        ended[index] = replace(running.pop(index).attempt, ended=now, exit_code=1)
