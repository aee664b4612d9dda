"""What to start and stop of a Work with roles, whose processes run all at once: a pure function of its attempts.

All processes of one attempt have its number. It has succeeded when all have, and failed with the first that fails.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from lykeion.platform.local.processes.attempt import NO_ROOM, PEER_FAILED, Attempt
from lykeion.platform.resources.plain_kinds import Work, to_ranges, to_used

from .work_history import counted, first_failures, used_up
from .work_plan import WorkPlan, due_time, ended, limit, reason_to_stop, seconds_until


def plan_gang(work: Work, attempts: Sequence[Attempt], now: datetime, room: int) -> WorkPlan:
    """``room`` is how many more processes fit on the machine."""
    spec = work.spec
    every, failures = range(spec.completions), list(first_failures(attempts).values())
    number = max((each.number for each in attempts), default=-1)
    members = [each for each in attempts if each.number == number]
    active = [each for each in members if each.ended is None]
    succeeded = len(members) == len(every) and all(each.succeeded for each in members)
    broken = any(each.ended and not each.succeeded for each in members)
    failed = not active and not succeeded and used_up(spec, failures)
    due = due_time(failures, now) if failures and failures[-1].number == number else None
    missing = [index for index in every if index not in {each.index for each in members}]
    start: list[tuple[int, int]] = []
    stop = [(each, reason) for each in active if (reason := reason_to_stop(each, work, now))]
    if spec.suspend or spec.stop or stop or succeeded or failed:
        pass
    elif broken and active:
        stop = [(each, PEER_FAILED) for each in active]
    elif active and len(missing) > room:
        stop = [(each, NO_ROOM) for each in active]
    elif active:
        start = [(index, number) for index in missing]
    elif (due or now) <= now:
        start = [(index, number + 1) for index in every]
    waiting = 0 if len(start) <= room else len(start)
    result = next((each.result for each in members if each.index == 0 and succeeded), "")
    busy = to_ranges(each.index for each in active)
    used = to_used({} if succeeded else dict.fromkeys(every, counted(spec, failures)))
    status = structs.replace(work.status, attempts=number + 1, active=busy, used=used, result=result)
    return WorkPlan(
        () if waiting else tuple(start),
        tuple(stop),
        ended(status, spec, every if succeeded else (), every if failed else (), failures, now),
        seconds_until([due if not active else None, *(limit(each, work) for each in active)], now),
        waiting,
    )
