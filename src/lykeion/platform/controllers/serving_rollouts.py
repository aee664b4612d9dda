"""From version to version of a Serving: rollouts begin, go on, and end."""

from datetime import datetime

from msgspec import structs

from lykeion.platform.policies.rollouts import RolloutEnd, Signals, advance, promoted
from lykeion.platform.resources.servings import PastRollout, RolloutStatus, ServingStatus, ServingVersion

from .serving_view import ServingView

_KEPT = 10


def with_stable(view: ServingView, status: ServingStatus) -> ServingStatus:
    """The first version is stable at once; so is what there is, if the stable version's group was deleted."""
    wanted = view.wanted
    if status.stable is None:
        return structs.replace(status, stable=wanted)
    if view.group_spec(status.stable) is not None:
        return status
    left = status.rollout.version if status.rollout else wanted
    return structs.replace(status, stable=left, rollout=None, rejected="")


def with_verbs(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    """``promote`` and ``abort`` have an effect once for each value."""
    spec, wanted, rollout = view.serving.spec, view.wanted, status.rollout
    if spec.abort != status.abort:
        status = structs.replace(status, abort=spec.abort)
        if rollout and spec.abort:
            return _ended(status, rollout, RolloutEnd(False, "Aborted", f"abort is {spec.abort}"), now)
    if spec.promote != status.promote:
        status = structs.replace(status, promote=spec.promote)
        if rollout and spec.promote:
            return structs.replace(status, rollout=promoted(rollout, now))
        if wanted and spec.promote and status.rejected == wanted.hash:
            begun = promoted(_begun(status, wanted, now), now)
            return structs.replace(status, rollout=begun, rollouts=begun.number, rejected="")
    return status


def with_target(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    """A rollout to the version that the spec asks for; one to another version ends."""
    wanted, rollout = view.wanted, status.rollout
    if wanted and wanted.hash != status.rejected:
        status = structs.replace(status, rejected="")
    if wanted is None or status.stable is None or (rollout and rollout.version == wanted):
        return status
    if rollout and wanted == status.stable:
        return _left(status, rollout, RolloutEnd(False, "Reverted", "the spec has the stable version again"), now)
    if rollout:
        status = _left(status, rollout, RolloutEnd(False, "Superseded", "the spec has another version"), now)
    if wanted == status.stable or wanted.hash == status.rejected:
        return status
    begun = _begun(status, wanted, now)
    if not view.ready(status.stable):
        begun = promoted(begun, now)  # nothing to compare with, and nothing to lose
    return structs.replace(status, rollout=begun, rollouts=begun.number)


def with_progress(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    """One phase further, or the end of the rollout."""
    if status.rollout is None:
        return status
    spec = view.serving.spec
    after = advance(
        status.rollout, spec.canary, spec.progress_deadline_seconds, _signals(view, status, status.rollout), now
    )
    if isinstance(after, RolloutEnd):
        return _ended(status, status.rollout, after, now)
    return structs.replace(status, rollout=after)


def _signals(view: ServingView, status: ServingStatus, rollout: RolloutStatus) -> Signals:
    new, stable = view.group(rollout.version), view.group(status.stable)
    work = view.observed.child(view.verify_name(rollout.number, rollout.step))
    return Signals(
        wanted=view.replicas_of_new(rollout, status.replicas),
        ready=view.ready(rollout.version),
        restarts=new.status.restarts if new else 0,
        trouble=view.trouble(rollout.version),
        stable_is_ready=stable is not None and stable.status.ready >= stable.spec.replicas,
        verified=bool(work and work.status.succeeded),
        verify_failure=work.status.failures[-1].words() if work and work.status.failed else "",
    )


def _begun(status: ServingStatus, version: ServingVersion, now: datetime) -> RolloutStatus:
    return RolloutStatus(number=status.rollouts + 1, version=version, since=now)


def _ended(status: ServingStatus, rollout: RolloutStatus, end: RolloutEnd, now: datetime) -> ServingStatus:
    status = _left(status, rollout, end, now)
    if end.promoted:
        return structs.replace(status, stable=rollout.version)
    return structs.replace(status, rejected=rollout.version.hash)


def _left(status: ServingStatus, rollout: RolloutStatus, end: RolloutEnd, now: datetime) -> ServingStatus:
    past = PastRollout(
        number=rollout.number,
        version=rollout.version,
        outcome="Promoted" if end.promoted else "RolledBack",
        reason=end.reason,
        message=end.message[:512],
        at=now,
    )
    return structs.replace(status, rollout=None, history=(*status.history, past)[-_KEPT:])
