"""Experiment: begins when its versions are published, looks at its guardrails, and ends by them or by hand."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from lykeion.control import Condition, Decision, Event, Lookup, Observed, ResourceController, merged
from lykeion.core import LykeionError
from lykeion.delivery.rollouts import OfferedVersion, VersionOffer, described, halting_rule, with_observation

from .experiment_resource import (
    EXPERIMENT,
    Experiment,
    ExperimentSpec,
    ExperimentStatus,
    ExperimentStep,
    declaration_digest,
)
from .guardrail_tables import EarlierExperiment, ExperimentLook, ExperimentObservation, UnfitForFlag

ASK_AGAIN_S = 30.0
MAX_STEPS = 40


def reconcile_experiment(experiment: Experiment, observed: Observed, now: datetime) -> Decision:
    spec, before = experiment.spec, experiment.status
    if ended := _by_hand(spec, before, now):
        return _decided(experiment, ended, now, None)
    asked = _asked(experiment, now)
    if missing := tuple(each for each in asked if each not in observed.read):
        return Decision(before, reads=missing)
    answers = [observed.read[each] for each in asked]
    if failed := next((each for each in answers if isinstance(each, LykeionError)), None):
        return _decided(experiment, _waits(before, "Unavailable", str(failed)), now, ASK_AGAIN_S)
    if before.state == "Pending":
        status = _begun(spec, before, answers, now)
        return _decided(experiment, status, now, ASK_AGAIN_S if status.state == "Pending" else spec.interval_seconds)
    status = before
    for answer in answers:
        if isinstance(answer, ExperimentObservation):
            status = _seen(spec, status, answer, now)
    return _decided(experiment, status, now, _next_look_s(spec, status, now))


EXPERIMENTS = ResourceController(EXPERIMENT, (), reconcile_experiment)


def has_stopped(status: ExperimentStatus) -> bool:
    """Whether nobody enters any more."""
    return status.state in ("Stopped", "Halted", "Concluded")


def _by_hand(spec: ExperimentSpec, status: ExperimentStatus, now: datetime) -> ExperimentStatus | None:
    if spec.conclusion and status.state != "Concluded":
        done = structs.replace(status, state="Concluded", stopped=status.stopped or now)
        message = f"{spec.conclusion.by} ships {spec.conclusion.ship}: {spec.conclusion.because}"
        return _logged(done, "Concluded", message, now)
    if spec.stop and spec.stop != status.stop and not has_stopped(status):
        done = structs.replace(status, state="Stopped", stopped=now, stop=spec.stop)
        return _logged(done, "StoppedByHand", f"stop is {spec.stop}", now)
    return None


def _asked(experiment: Experiment, now: datetime) -> list[Lookup]:
    spec, status, uid = experiment.spec, experiment.status, experiment.metadata.uid
    if status.state == "Pending":
        versions = [OfferedVersion(spec.model, each.version) for each in spec.arms] if spec.model else []
        fits = versions or [UnfitForFlag(spec)]
        return [EarlierExperiment(spec.model or spec.flag, uid), *fits]
    if status.state == "Running" and status.looked and _next_look_s(spec, status, now) == 0:
        counted = tuple((each.moved_events, each.other_events) for each in status.evidence)
        return [ExperimentLook(uid, now, counted)]
    return []


def _begun(spec: ExperimentSpec, status: ExperimentStatus, answers: list[Any], now: datetime) -> ExperimentStatus:
    earlier, *offers = answers
    if earlier:
        return _waits(status, "WaitsForExperiment", f"{earlier} is under way for the same model or flag")
    if spec.flag and offers[0]:
        return _waits(status, "UnfitForFlag", offers[0])
    for arm, offer in zip(spec.arms, offers, strict=False) if spec.model else ():
        if offer is None:
            missing = f"{spec.model} has no version {arm.version} in the signed metadata"
            return _waits(status, "NotPublished", missing)
    begun = structs.replace(
        status,
        state="Running",
        declaration=declaration_digest(spec),
        numbers=tuple(each.number for each in offers if isinstance(each, VersionOffer)),
        started=now,
        looked=now,
    )
    return _logged(begun, "Began", f"declared as {begun.declaration}", now)


def _seen(
    spec: ExperimentSpec, status: ExperimentStatus, observation: ExperimentObservation, now: datetime
) -> ExperimentStatus:
    evidence = with_observation(status.evidence, spec.guardrails, observation.tables)
    status = structs.replace(status, evidence=evidence, looked=observation.until, units=observation.units)
    if found := halting_rule(spec.guardrails, spec.alpha, evidence):
        return _logged(structs.replace(status, state="Halted", stopped=now), "Harm", described(*found), now)
    return structs.replace(status, reason="Running", message=f"{sum(observation.units):,} units were exposed")


def _next_look_s(spec: ExperimentSpec, status: ExperimentStatus, now: datetime) -> float | None:
    if status.state != "Running" or status.looked is None:
        return None
    return max(0.0, (status.looked + timedelta(seconds=spec.interval_seconds) - now).total_seconds())


def _waits(status: ExperimentStatus, reason: str, message: str) -> ExperimentStatus:
    return structs.replace(status, reason=reason, message=message[:1024])


def _logged(status: ExperimentStatus, reason: str, message: str, now: datetime) -> ExperimentStatus:
    step = ExperimentStep(at=now, reason=reason, message=message[:512])
    return structs.replace(status, reason=reason, message=message[:1024], steps=(*status.steps, step)[-MAX_STEPS:])


def _decided(experiment: Experiment, status: ExperimentStatus, now: datetime, again_s: float | None) -> Decision:
    generation = experiment.metadata.generation
    state = status.state

    def condition(type_: str, true: bool) -> Condition:
        return Condition(
            type=type_, status="True" if true else "False", reason=status.reason or "New", message=status.message
        )

    conditions = (
        condition("Complete", state == "Concluded"),
        condition("Failed", state == "Halted"),
        condition("Progressing", state == "Running"),
    )
    status = structs.replace(
        status,
        observed_generation=generation,
        conditions=merged(status.conditions, now, *conditions, generation=generation),
    )
    known = set(experiment.status.steps)
    events = tuple(
        Event("Warning" if each.reason == "Harm" else "Normal", each.reason, each.message)
        for each in status.steps
        if each not in known
    )
    return Decision(status, events=events, requeue_after_s=again_s)
