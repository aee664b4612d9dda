"""What becomes of a rollout next: a pure function of its spec, its status and what the reports say."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from .fleet_observation import FleetObservation
from .halt_rules import halt_rule_text
from .halting import halting_rule, with_observation
from .rollout_resource import (
    MAX_RUNNING,
    DevicesOfVersion,
    FleetRolloutStatus,
    HaltRule,
    RolloutSpec,
    RolloutState,
    RolloutStep,
    RuleEvidence,
)

MAX_STEPS = 40
FINAL = ("Complete", "Halted")


def has_ended(status: FleetRolloutStatus) -> bool:
    """Whether nothing moves any more but devices that return."""
    return status.state in FINAL


def decide(
    spec: RolloutSpec, status: FleetRolloutStatus, observation: FleetObservation | None, now: datetime
) -> FleetRolloutStatus:
    """The next status. ``observation`` is that of the interval since ``status.looked``, if it has ended."""
    status = _not_ahead(status, now)
    if observation:
        status = _with(status, spec, observation)
    if has_ended(status):
        return _returned(spec, status, now)
    if observation and observation.revoked:
        return _halted(status, True, "Revoked", f"{spec.model} {status.version} has been revoked", now)
    return _by_hand(spec, status, now) or _by_rule(spec, status, now) or _further(spec, status, now)


def decide_by_hand(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus | None:
    """The end of a rollout that a person halts, also before it is known what it moves."""
    return None if has_ended(status) else _by_hand(spec, status, now)


def approvals_lacking(spec: RolloutSpec, wave: int) -> int:
    """How many people still have to approve a wave, counted from 1."""
    by = {each.by for each in spec.approvals if each.wave == wave}
    return max(0, spec.waves[wave - 1].approvals - len(by))


def next_look(spec: RolloutSpec, status: FleetRolloutStatus) -> datetime | None:
    """When the interval ends that began at ``status.looked``; None before the first wave and when nothing moves."""
    if status.looked is None or (has_ended(status) and not _are_returning(status, status.looked)):
        return None
    return status.looked + timedelta(seconds=spec.interval_seconds)


def is_ahead(status: FleetRolloutStatus, now: datetime) -> bool:
    """Whether something has happened later than now, because the clock was ahead then."""
    return any(each > now for each in (status.looked, status.since, *status.began) if each)


def seconds_until_due(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> float | None:
    """When to decide again although nothing else has changed."""
    due = [next_look(spec, status)]
    if status.state in ("Running", "Paused") and status.since:
        due.append(status.since + timedelta(seconds=spec.waves[status.wave - 1].soak_seconds))
        due.append(status.since + timedelta(seconds=spec.deadline_seconds))
    later = [(each - now).total_seconds() for each in due if each and each > now]
    return min(later, default=None)


def described(rule: HaltRule, evidence: RuleEvidence) -> str:
    """Such as ``crash x2: 9 events in 4,210 device intervals, other devices: 20 in 41,877``."""
    if rule.ratio is None:
        return f"{halt_rule_text(rule)}: {evidence.moved_events:,} of {evidence.moved:,} devices"
    own = f"{evidence.moved_events:,} events in {evidence.moved:,} device intervals"
    return f"{halt_rule_text(rule)}: {own}, other devices: {evidence.other_events:,} in {evidence.others:,}"


def described_devices(status: FleetRolloutStatus) -> str:
    """Such as ``of 100 devices 60 run v2, 38 run v1, 2 run none``."""
    versions = (f"v{each.number}" if each.number else "none" for each in status.running)
    counts = (f"{each.devices:,} run {version}" for each, version in zip(status.running, versions, strict=True))
    return f"of {status.assigned:,} devices {', '.join(counts) or f'{status.moved:,} run {status.version}'}"


def _with(status: FleetRolloutStatus, spec: RolloutSpec, observation: FleetObservation) -> FleetRolloutStatus:
    """After the end reports are no evidence any more."""
    ended = has_ended(status)
    counts = sorted(observation.running.items(), key=lambda each: (-each[1], -each[0]))
    return structs.replace(
        status,
        looked=observation.until,
        fleet=observation.fleet,
        assigned=observation.assigned,
        reported=observation.reported,
        reachable=observation.reachable,
        moved=observation.moved,
        running=tuple(DevicesOfVersion(number=number, devices=devices) for number, devices in counts[:MAX_RUNNING]),
        evidence=status.evidence if ended else with_observation(status.evidence, spec.halt_when, observation.tables),
    )


def _not_ahead(status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus:
    """Nothing would be looked at until a time that was wrong comes."""
    if not is_ahead(status, now):
        return status
    at = max(filter(None, (status.looked, status.since, *status.began)))
    status = structs.replace(
        status,
        looked=status.looked and min(status.looked, now),
        since=status.since and min(status.since, now),
        began=tuple(min(each, now) for each in status.began),
    )
    return _also_logged(status, "ClockWasAhead", f"it was {at:%Y-%m-%d %H:%M:%S} here before", now)


def _are_returning(status: FleetRolloutStatus, looked: datetime) -> bool:
    """Whether devices may still run what they were to leave, as far as is known since the last step, the end."""
    return status.returns and (status.moved > 0 or looked <= status.steps[-1].at)


def _returned(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus:
    """A finished rollout is final, but for devices that a person sends back."""
    if not spec.rollback or spec.rollback == status.rollback:
        return status
    status = structs.replace(status, rollback=spec.rollback, returns=True)
    return _logged(status, "Returned", f"rollback is {spec.rollback}", now)


def _by_hand(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus | None:
    if spec.rollback and spec.rollback != status.rollback:
        status = structs.replace(status, rollback=spec.rollback)
        return _halted(status, True, "RolledBack", f"rollback is {spec.rollback}", now)
    if spec.halt and spec.halt != status.halt:
        status = structs.replace(status, halt=spec.halt)
        return _halted(status, spec.on_halt == "Return", "HaltedByHand", f"halt is {spec.halt}", now)
    return None


def _by_rule(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus | None:
    found = halting_rule(spec.halt_when, spec.alpha, status.evidence)
    if found is None:
        return None
    message = described(*found)
    if not spec.watch_only:
        return _halted(status, spec.on_halt == "Return", "Harm", message, now)
    if not any(each.reason == "WouldHalt" for each in status.steps):
        return _logged(status, "WouldHalt", message, now)
    return None


def _further(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus:
    """The next wave, the end, or why neither comes yet."""
    if spec.pause:
        return _waiting(status, "Paused", "PausedByHand", "pause is true", now)
    if status.wave and (waits := _soaking(spec, status, now)):
        return waits
    if status.wave == len(spec.waves):
        return _logged(structs.replace(status, state="Complete"), "Complete", "all waves have moved", now)
    if lacking := approvals_lacking(spec, status.wave + 1):
        people = "one person has" if lacking == 1 else f"{lacking} people have"
        message = f"{people} to approve wave {status.wave + 1}"
        return _waiting(status, "Paused" if status.wave else "Pending", "NotApproved", message, now)
    begun = structs.replace(
        status,
        state="Running",
        wave=status.wave + 1,
        since=now,
        looked=status.looked or now,
        began=(*status.began, now),
    )
    return _logged(begun, "WaveBegan", f"wave {begun.wave} of {len(spec.waves)}", now)


def _soaking(spec: RolloutSpec, status: FleetRolloutStatus, now: datetime) -> FleetRolloutStatus | None:
    """None once the reports of the whole soak have been looked at, and the wave has moved."""
    began = status.since or now
    elapsed_s = (now - began).total_seconds()
    looked_s = (status.looked - began).total_seconds() if status.looked else 0.0
    if looked_s <= 0 or looked_s < spec.waves[status.wave - 1].soak_seconds:
        return _waiting(status, "Running", "Soaking", f"wave {status.wave} of {len(spec.waves)}", now)
    if status.fleet == 0:
        return _waiting(status, "Running", "NoDevices", "the rollout is for no device that is enrolled", now)
    silent = status.assigned > 0 and status.reported == 0
    if status.moved >= spec.moved_share * status.reachable and not silent:
        return None
    moved = f"{status.moved:,} of {status.reachable:,} devices that report run the version"
    if silent:
        moved = f"none of {status.assigned:,} devices has reported since"
    if elapsed_s < spec.deadline_seconds:
        return _waiting(status, "Running", "Moving", moved, now)
    return _waiting(status, "Paused", "DeadlineExceeded", f"{moved} after {spec.deadline_seconds} s", now)


def _halted(
    status: FleetRolloutStatus, returns: bool, reason: str, message: str, now: datetime
) -> FleetRolloutStatus:
    return _logged(structs.replace(status, state="Halted", returns=returns), reason, message, now)


def _waiting(
    status: FleetRolloutStatus, state: RolloutState, reason: str, message: str, now: datetime
) -> FleetRolloutStatus:
    if (status.state, status.reason) == (state, reason):
        return structs.replace(status, message=message)
    status = structs.replace(status, state=state)
    if reason in ("Soaking", "Moving", "NoDevices"):
        return structs.replace(status, reason=reason, message=message)
    return _logged(status, reason, message, now)


def _logged(status: FleetRolloutStatus, reason: str, message: str, now: datetime) -> FleetRolloutStatus:
    return structs.replace(_also_logged(status, reason, message, now), reason=reason, message=message)


def _also_logged(status: FleetRolloutStatus, reason: str, message: str, now: datetime) -> FleetRolloutStatus:
    """Without saying that it is in its state for this."""
    step = RolloutStep(at=now, reason=reason, message=message[:512])
    return structs.replace(status, steps=_last((*status.steps, step)))


def _last(steps: Sequence[RolloutStep]) -> tuple[RolloutStep, ...]:
    return tuple(steps[-MAX_STEPS:])
