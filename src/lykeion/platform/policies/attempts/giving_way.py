"""Two trainings, each with room for only some of its processes, must not hold that room from one another for ever.

On a cluster without a queue, the pods of one program are placed one by one. A program that has had only some of its
processes for a while gives all of them up, and starts again after a pause that differs between trainings.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from lykeion.control import Condition, condition_of, is_true
from lykeion.platform.policies.lifecycle import left_s
from lykeion.platform.resources.plain_kinds import Work
from lykeion.platform.resources.runs import Training

GAVE_WAY = "GaveWay"
HELD_S = 120
"""How long it holds what it has."""
PAUSES_S = range(5, 65)
_MESSAGE = f"for {HELD_S} s only some processes had room; all are stopped, and start again after a pause"
_GIVEN = Condition(type=GAVE_WAY, status="True", reason="HalfStarted", message=_MESSAGE)
_AGAIN = Condition(type=GAVE_WAY, status="False", reason="Again")


@dataclass(frozen=True)
class GivenWay:
    """The condition, if there is one to write, and the seconds until it may change."""

    conditions: tuple[Condition, ...] = ()
    again_s: float | None = None


def gives_way(training: Training) -> bool:
    """Whether its processes are given up now."""
    return is_true(training.status.conditions, GAVE_WAY)


def give_way(training: Training, program: Work | None, now: datetime) -> GivenWay:
    gave = condition_of(training.status.conditions, GAVE_WAY)
    if gave and gave.status == "True" and gave.last_transition_time:
        left = left_s(gave.last_transition_time, pause_s(training.metadata.uid), now)
        return GivenWay((gave,), left) if left else GivenWay((_AGAIN,))
    since = _half_since(program) if program else None
    left = left_s(since, HELD_S, now) if since else None
    return GivenWay((_GIVEN,)) if left == 0 else GivenWay(again_s=left)


def pause_s(uid: str) -> int:
    return PAUSES_S[int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) % len(PAUSES_S)]


def _half_since(program: Work) -> datetime | None:
    """Since when only some of the processes run, if so."""
    lacking = condition_of(program.status.conditions, "Unschedulable")
    half = program.spec.roles and program.status.active and lacking and lacking.status == "True"
    return lacking.last_transition_time if half and lacking else None
