"""From step to step of a rollout: when the next begins, and when it ends in promotion or is rolled back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from lykeion.platform.resources.servings import Canary, CanaryAnalysis, CanaryStep, RolloutStatus

from .canary_analysis import begin_step, described, next_look, verdict

UNREADY_S = 5
"""A replica counts as lost after so many seconds, in which the reports of both versions arrive."""


@dataclass(frozen=True)
class Signals:
    """What is known of the replicas of the new version, and of the command that verifies it."""

    wanted: int
    """Replicas that the next step needs."""
    ready: int
    restarts: int = 0
    trouble: str = ""
    """Why replicas may not be ready."""
    stable_is_ready: bool = True
    verified: bool = False
    verify_failure: str = ""


@dataclass(frozen=True)
class RolloutEnd:
    promoted: bool
    reason: str
    message: str


def steps_of(rollout: RolloutStatus, canary: Canary | None) -> Sequence[CanaryStep]:
    return () if canary is None or rollout.promoted else canary.steps


def advance(
    rollout: RolloutStatus, canary: Canary | None, deadline_s: int, signals: Signals, now: datetime
) -> RolloutStatus | RolloutEnd:
    """The next state, at most one phase on. ``deadline_s`` is the time in which the replicas of a step are ready."""
    steps = steps_of(rollout, canary)
    rollout = _with_ready(rollout, signals, now)
    if canary and steps and (end := _harm(rollout, canary.analysis, signals, now)):
        return end
    if rollout.phase == "Starting" or rollout.step >= len(steps):
        if signals.ready < signals.wanted:
            return _timed_out(rollout, deadline_s, signals, now) or rollout
        if rollout.step >= len(steps):
            return RolloutEnd(True, "Promoted", "all replicas of the new version are ready")
        return _verify_or_serve(rollout, canary, now)
    if rollout.phase == "Verifying":
        if signals.verify_failure:
            return RolloutEnd(False, "VerifyFailed", signals.verify_failure)
        return _serve(rollout, steps, now) if signals.verified else rollout
    return _served(rollout, canary, steps, now)


def promoted(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """Without the remaining steps: as soon as its replicas are ready, the new version gets all requests."""
    return structs.replace(rollout, promoted=True, phase="Starting", since=now)


def weight_of_next(rollout: RolloutStatus, canary: Canary | None) -> int:
    """Percent of the requests for which replicas are needed."""
    steps = steps_of(rollout, canary)
    return steps[rollout.step].weight if rollout.step < len(steps) else 100


def is_inconclusive(rollout: RolloutStatus, canary: Canary | None, now: datetime) -> bool:
    """Whether the deadline of the step has passed without a verdict."""
    analysis = canary and canary.analysis
    late = (
        analysis is not None and rollout.phase == "Serving" and _elapsed_s(rollout, now) >= analysis.deadline_seconds
    )
    return late and verdict(rollout.analysis) == "Unknown"


def seconds_until_due(rollout: RolloutStatus, canary: Canary | None, deadline_s: int, now: datetime) -> float | None:
    """When to look again although nothing is observed to change."""
    steps = steps_of(rollout, canary)
    due: list[datetime] = []
    if rollout.phase == "Starting":
        due.append(rollout.since + timedelta(seconds=deadline_s))
    if rollout.unready_since:
        due.append(rollout.unready_since + timedelta(seconds=UNREADY_S))
    if rollout.phase == "Serving" and rollout.step < len(steps):
        due.append(rollout.since + timedelta(seconds=steps[rollout.step].pause_seconds))
    if canary and canary.analysis and rollout.weight and (look := next_look(rollout.analysis, canary.analysis)):
        due.append(look)
    later = [(each - now).total_seconds() for each in due if each > now]
    return min(later, default=None)


def joined(*parts: str) -> str:
    """The parts of a message that there are."""
    return "; ".join(filter(None, parts))


def _with_ready(rollout: RolloutStatus, signals: Signals, now: datetime) -> RolloutStatus:
    """If the stable version has lost replicas too, the cause is not the new version, which may become ready again."""
    if not signals.stable_is_ready or signals.ready >= rollout.ready:
        return structs.replace(rollout, ready=signals.ready, unready_since=None)
    return structs.replace(rollout, unready_since=rollout.unready_since or now)


def _harm(
    rollout: RolloutStatus, analysis: CanaryAnalysis | None, signals: Signals, now: datetime
) -> RolloutEnd | None:
    if signals.restarts:
        return RolloutEnd(False, "Crashed", joined("a replica has ended", signals.trouble))
    if rollout.unready_since and (now - rollout.unready_since).total_seconds() >= UNREADY_S:
        return RolloutEnd(False, "NotReady", f"{signals.ready} of {rollout.ready} replicas are ready")
    if analysis and verdict(rollout.analysis) == "Harm":
        return RolloutEnd(False, "Harm", described(rollout.analysis, analysis))
    return None


def _timed_out(rollout: RolloutStatus, deadline_s: int, signals: Signals, now: datetime) -> RolloutEnd | None:
    if _elapsed_s(rollout, now) < deadline_s:
        return None
    ready = f"{signals.ready} of {signals.wanted} replicas are ready after {deadline_s} s"
    return RolloutEnd(False, "ProgressDeadlineExceeded", joined(ready, signals.trouble))


def _verify_or_serve(rollout: RolloutStatus, canary: Canary | None, now: datetime) -> RolloutStatus:
    if canary and canary.verify:
        return structs.replace(rollout, phase="Verifying", since=now)
    return _serve(rollout, steps_of(rollout, canary), now)


def _serve(rollout: RolloutStatus, steps: Sequence[CanaryStep], now: datetime) -> RolloutStatus:
    return structs.replace(
        rollout,
        phase="Serving",
        since=now,
        weight=steps[rollout.step].weight,
        analysis=begin_step(rollout.analysis, now),
    )


def _served(
    rollout: RolloutStatus, canary: Canary | None, steps: Sequence[CanaryStep], now: datetime
) -> RolloutStatus | RolloutEnd:
    if _elapsed_s(rollout, now) < steps[rollout.step].pause_seconds:
        return rollout
    analysis = canary and canary.analysis
    if analysis and verdict(rollout.analysis) != "NoHarm":
        if not is_inconclusive(rollout, canary, now) or analysis.when_inconclusive == "Wait":
            return rollout
        if analysis.when_inconclusive == "Rollback":
            return RolloutEnd(False, "Inconclusive", described(rollout.analysis, analysis))
    return structs.replace(rollout, phase="Starting", step=rollout.step + 1, since=now)


def _elapsed_s(rollout: RolloutStatus, now: datetime) -> float:
    return (now - rollout.since).total_seconds()
