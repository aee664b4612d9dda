"""Rollout: pins the version, looks at the reports of each interval, and decides."""

from datetime import datetime, timedelta

from msgspec import structs

from lykeion.control import Condition, Decision, Event, Lookup, Observed, ResourceController, merged
from lykeion.core import LykeionError

from .fleet_observation import EarlierRollout, FleetObservation, FleetReports, OfferedVersion, VersionOffer
from .rollout_decision import FINAL, decide, decide_by_hand, has_ended, next_look, seconds_until_due
from .rollout_resource import ROLLOUT, FleetRolloutStatus, Rollout, RolloutSpec

ASK_AGAIN_S, TURN_S = 30.0, 5.0
"""For what is not there yet, and for the end of another rollout."""
_WARNINGS = ("Harm", "WouldHalt", "DeadlineExceeded", "HaltedByHand", "RolledBack", "Revoked", "ClockWasAhead")


def reconcile_rollout(rollout: Rollout, observed: Observed, now: datetime) -> Decision:
    spec, before = rollout.spec, rollout.status
    if ended := decide_by_hand(spec, before, now):
        return _decided(rollout, ended, now, None)
    asked = _asked(rollout, now)
    if missing := tuple(each for each in asked if each not in observed.read):
        return Decision(before, reads=missing)
    answers = [observed.read[each] for each in asked]
    if failed := next((each for each in answers if isinstance(each, LykeionError)), None):
        return _decided(rollout, _unanswered(before, "Unavailable", str(failed)), now, ASK_AGAIN_S)
    status, observation = before, None
    for answer in answers:
        if isinstance(answer, FleetObservation):
            observation = answer
        elif isinstance(answer, VersionOffer) and answer.without_index:
            lacking = f"no index is of the embedding space of its vectors, {', '.join(answer.without_index)}"
            return _decided(rollout, _unanswered(before, "NoIndex", lacking), now, ASK_AGAIN_S)
        elif isinstance(answer, VersionOffer):
            status = structs.replace(status, version=f"v{answer.number}", number=answer.number, digest=answer.digest)
        elif answer:
            waits = f"{answer} is under way for the same model"
            return _decided(rollout, _unanswered(before, "WaitsForRollout", waits), now, TURN_S)
    if not status.digest:
        offered = f"{spec.model} has no version {spec.version} in the signed metadata"
        return _decided(rollout, _unanswered(before, "NotPublished", offered), now, ASK_AGAIN_S)
    status = decide(spec, status, observation, now)
    return _decided(rollout, status, now, seconds_until_due(spec, status, now))


ROLLOUTS = ResourceController(ROLLOUT, (), reconcile_rollout)


def last_interval(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> tuple[datetime, datetime] | None:
    """From the last look to now in whole intervals, if at least one has ended."""
    due = next_look(spec, status)
    if due is None or status.looked is None or due > now:
        return None
    intervals = (now - status.looked) // timedelta(seconds=spec.interval_seconds)
    return status.looked, status.looked + intervals * timedelta(seconds=spec.interval_seconds)


def _asked(rollout: Rollout, now: datetime) -> list[Lookup]:
    spec, status, uid = rollout.spec, rollout.status, rollout.metadata.uid
    if status.wave == 0 and status.state not in FINAL:
        return [EarlierRollout(spec.model, uid), OfferedVersion(spec.model, spec.version)]
    if interval := last_interval(spec, status, now):
        return [FleetReports(uid, *interval)]
    return []


def _unanswered(status: FleetRolloutStatus, reason: str, message: str) -> FleetRolloutStatus:
    if has_ended(status):  # why it has is what people ask
        return status
    return structs.replace(status, reason=reason, message=message[:1024])


def _decided(rollout: Rollout, status: FleetRolloutStatus, now: datetime, again_s: float | None) -> Decision:
    generation = rollout.metadata.generation
    status = structs.replace(
        status,
        observed_generation=generation,
        conditions=merged(status.conditions, now, *_conditions(status), generation=generation),
    )
    known = set(rollout.status.steps)
    events = tuple(
        Event("Warning" if each.reason in _WARNINGS else "Normal", each.reason, each.message)
        for each in status.steps
        if each not in known
    )
    return Decision(status, events=events, requeue_after_s=again_s)


def _conditions(status: FleetRolloutStatus) -> tuple[Condition, ...]:
    def condition(type_: str, true: bool) -> Condition:
        return Condition(
            type=type_, status="True" if true else "False", reason=status.reason or "New", message=status.message
        )

    return (
        condition("Complete", status.state == "Complete"),
        condition("Failed", status.state == "Halted"),
        condition("Progressing", status.state == "Running"),
    )
