"""What a person asks of a rollout: each returns it with another spec, or says why nothing would come of it."""

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


def _check_not_ended(rollout: Rollout, advice: str = "") -> None:
    if has_ended(rollout.status):
        raise WithoutEffect(f"rollout {rollout.metadata.name} has ended: {rollout.status.state}{advice}")
