"""What a person asks of a rollout: another spec, or why nothing would come of it; and whether it may be deleted."""

from collections.abc import Sequence

from lykeion.core import Conflict

from .rollout_decision import approvals_lacking, has_ended
from .rollout_resource import Approval, Rollout, with_spec


class WithoutEffect(Conflict):
    """What was asked of a rollout would change nothing of what devices run."""


def paused(rollout: Rollout) -> Rollout:
    """Raises WithoutEffect, as the others do."""
    _check_not_ended(rollout)
    return with_spec(rollout, pause=True)


def resumed(rollout: Rollout) -> Rollout:
    _check_not_ended(rollout)
    if not rollout.spec.pause:
        status = rollout.status
        why = f": it is {status.state}: {status.reason}: {status.message}" if status.reason else ""
        raise WithoutEffect(f"rollout {rollout.metadata.name} was not paused by hand{why}")
    return with_spec(rollout, pause=False)


def halted(rollout: Rollout, at: str) -> Rollout:
    """``at`` is a value that was not there before, such as the time."""
    _check_not_ended(rollout, "; its devices return by a rollback")
    return with_spec(rollout, halt=at)


def rolled_back(rollout: Rollout, at: str) -> Rollout:
    status = rollout.status
    if has_ended(status) and (status.returns or not status.wave):
        moved = "the devices that moved return already" if status.wave else "no device has moved"
        raise WithoutEffect(f"rollout {rollout.metadata.name}: {moved}")
    return with_spec(rollout, rollback=at)


def approved(rollout: Rollout, by: str, wave: int | None = None) -> Rollout:
    """The next wave, or one that comes later."""
    _check_not_ended(rollout)
    spec, name = rollout.spec, rollout.metadata.name
    wave = wave or rollout.status.wave + 1
    if wave > len(spec.waves):
        raise WithoutEffect(f"rollout {name} has no wave {wave}; it has {len(spec.waves)}")
    if wave <= rollout.status.wave:
        raise WithoutEffect(f"rollout {name}: wave {wave} has begun already")
    if any((each.wave, each.by) == (wave, by) for each in spec.approvals):
        raise WithoutEffect(f"rollout {name}: {by} has approved wave {wave} already; another person has to")
    if not approvals_lacking(spec, wave):
        raise WithoutEffect(f"rollout {name}: wave {wave} needs no further approval")
    return with_spec(rollout, approvals=(*spec.approvals, Approval(wave=wave, by=by)))


def why_needed(rollout: Rollout, rollouts: Sequence[Rollout]) -> str:
    """Why devices would run something else without it; empty if they would not.

    They would not if it has not begun, or if a later rollout of the model that is for all its devices is complete.
    """
    status, spec = rollout.status, rollout.spec
    if not status.wave or any(_takes_its_place(each, rollout) for each in rollouts):
        return ""
    if not has_ended(status):
        return "it is under way: halt it first, and start another one"
    if status.returns:
        return f"it keeps devices from {spec.model} {status.version}"
    return f"devices run {spec.model} {status.version} by it"


def _check_not_ended(rollout: Rollout, advice: str = "") -> None:
    if has_ended(rollout.status):
        raise WithoutEffect(f"rollout {rollout.metadata.name} has ended: {rollout.status.state}{advice}")


def _takes_its_place(later: Rollout, rollout: Rollout) -> bool:
    ours, theirs = rollout.spec, later.spec
    everybody = not theirs.where and not theirs.classes
    return (
        later.status.state == "Complete"
        and not later.status.returns
        and theirs.model == ours.model
        and _began(later) > _began(rollout)
        and any(wave.percent == 100 for wave in theirs.waves)
        and (everybody or (theirs.where, theirs.classes) == (ours.where, ours.classes))
    )


def _began(rollout: Rollout) -> str:
    return str(rollout.status.began[0]) if rollout.status.began else ""
