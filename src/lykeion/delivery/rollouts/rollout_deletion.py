"""Whether what devices run depends on a rollout, so that it should not be deleted."""

from collections.abc import Sequence

from .rollout_decision import has_ended
from .rollout_resource import Rollout


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
