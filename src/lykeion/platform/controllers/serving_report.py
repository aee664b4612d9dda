"""What a Serving tells its users: conditions, the columns of ``get``, and events."""

from datetime import datetime

from msgspec import structs

from lykeion.control import GROUP, Condition, Event, condition_of, is_true, merged
from lykeion.platform.policies.rollouts import is_inconclusive, joined
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP
from lykeion.platform.resources.servings import RolloutStatus, ServingStatus

from .serving_load import uncounted
from .serving_view import ServingView, no_room


def reported(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    generation = view.serving.metadata.generation
    conditions = (
        _ready(view, status),
        _available(view, status),
        *_rollout_conditions(view, status, now),
        *_told(view, status),
        *_unsupported(view, status),
    )
    return structs.replace(
        status,
        observed_generation=generation,
        url=view.url(view.route_name),
        ready=_all_ready(view, status),
        selector=_selector(view),
        state=_state(status),
        conditions=merged(status.conditions, now, *conditions, generation=generation),
    )


def serving_events(before: ServingStatus, after: ServingStatus) -> tuple[Event, ...]:
    """What has changed from one status to the next."""
    known = {each.number for each in before.history}
    ended = [each for each in after.history if each.number not in known]
    events = [
        Event("Normal", "Promoted", each.message)
        if each.outcome == "Promoted"
        else Event("Warning", "RolledBack", _past(each.reason, each.message))
        for each in ended
    ]
    rollout, weight = after.rollout, before.rollout.weight if before.rollout else 0
    if rollout and after.rollouts > before.rollouts:
        what = f"{rollout.version.hash} {rollout.version.artifact}".strip()
        events.append(Event("Normal", "RolloutStarted", f"rollout {rollout.number}, to version {what}"))
        weight = 0
    if rollout and rollout.weight != weight:
        events.append(Event("Normal", "Weight", f"the new version gets {rollout.weight} % of the requests"))
    if before.recommendations and after.replicas != before.replicas:
        events.append(Event("Normal", "Scaled", f"from {before.replicas} to {after.replicas} replicas"))
    now = condition_of(after.conditions, "Inconclusive")
    if now and now.status == "True" and not is_true(before.conditions, "Inconclusive"):
        events.append(Event("Warning", "Inconclusive", now.message))
    return tuple(events)


def _ready(view: ServingView, status: ServingStatus) -> Condition:
    """Whether the version that the spec asks for serves, with all replicas."""
    if view.found and view.found.error and not view.found.artifact:
        return _condition("Ready", False, "NotInRegistry", view.found.error)
    if status.image and status.image.error:
        return _condition("Ready", False, "ImageUnknown", status.image.error)
    if status.rollout:
        return _condition("Ready", False, "RollingOut", _progress(view, status.rollout))
    if view.wanted and status.rejected == view.wanted.hash:
        last = status.history[-1]
        return _condition("Ready", False, "RolledBack", _past(last.reason, last.message))
    ready = view.ready(status.stable)
    message = f"{ready} of {status.replicas} replicas are ready"
    if ready >= status.replicas:
        return _condition("Ready", True, "ReplicasReady", message)
    reason = "Unschedulable" if no_room(view.group(status.stable)) else "ReplicasNotReady"
    trouble = view.trouble(status.stable) if status.stable else ""
    return _condition("Ready", False, reason, joined(message, trouble))


def _available(view: ServingView, status: ServingStatus) -> Condition:
    ready = _all_ready(view, status)
    return _condition(
        "Available", ready > 0, "ReplicasReady" if ready else "NoReplicas", f"{ready} replicas are ready"
    )


def _rollout_conditions(view: ServingView, status: ServingStatus, now: datetime) -> list[Condition]:
    rollout = status.rollout
    late = rollout is not None and is_inconclusive(rollout, view.serving.spec.canary, now)
    rejected = view.wanted is not None and view.wanted.hash == status.rejected
    progressing = _condition("Progressing", False, "Stable", "")
    if rollout:
        progressing = _condition("Progressing", True, rollout.phase, _progress(view, rollout))
    elif status.history:
        last = status.history[-1]
        progressing = _condition("Progressing", False, last.reason, last.message)
    if late:
        message = "too few requests were compared; promote or abort the new version"
        stalled = _condition("Stalled", True, "Inconclusive", message)
    elif rejected:
        stalled = _condition("Stalled", True, "RolledBack", _past(progressing.reason, progressing.message))
    else:
        stalled = _condition("Stalled", False, "Progressing" if rollout else "Stable", "")
    inconclusive = _condition("Inconclusive", late, "Deadline" if late else "Stable", stalled.message if late else "")
    return [progressing, inconclusive, stalled]


def _told(view: ServingView, status: ServingStatus) -> list[Condition]:
    """What the newest group and the route say of their place: what has no effect there, and what is not as asked."""
    group = view.group(status.rollout.version if status.rollout else status.stable)
    said = ((group, "Ignored"), (view.group(status.stable), "Autoscaled"), (view.route, "Weighted"))
    found: list[Condition] = []
    for child, type_ in said:
        if child and (condition := condition_of(child.status.conditions, type_)):
            found.append(condition)
        elif condition_of(status.conditions, type_):
            found.append(_condition(type_, False, f"Not{type_}", ""))
    return found


def _selector(view: ServingView) -> str:
    of_owner = f"{GROUP}/owner-uid={view.serving.metadata.uid}"
    return f"{GROUP}/kind={REPLICA_GROUP.name},{of_owner}" if view.place.scales else ""


def _unsupported(view: ServingView, status: ServingStatus) -> list[Condition]:
    """What the spec asks for and its place does not have."""
    scaling, lacking = view.serving.spec.autoscaling, list[str]()
    if uncounted(view):
        lacking.append("canary.analysis: no proxy counts requests on a cluster; name prometheus or replicaMetrics")
    if scaling and scaling.target_in_flight is not None and view.place.scales:
        lacking.append(
            "autoscaling.targetInFlight: no proxy counts requests on a cluster; give targetCpu, or have another "
            "autoscaler scale the Serving"
        )
    if view.nameless:
        lacking.append("metadata.name begins with a digit, as no name in a cluster may by which a service is asked")
    if lacking:
        return [_condition("Unsupported", True, "NotOnACluster", "; ".join(lacking))]
    known = condition_of(status.conditions, "Unsupported") is not None
    return [_condition("Unsupported", False, "Supported", "")] if known else []


def _progress(view: ServingView, rollout: RolloutStatus) -> str:
    """Where the rollout stands, and what it may wait for."""
    trouble = ""
    if rollout.phase == "Starting":
        trouble = view.trouble(rollout.version)
    elif rollout.phase == "Verifying":
        trouble = no_room(view.observed.child(view.verify_name(rollout.number, rollout.step)))
    return joined(_words(rollout), trouble)


def _condition(type_: str, true: bool, reason: str, message: str) -> Condition:
    return Condition(type=type_, status="True" if true else "False", reason=reason, message=message)


def _all_ready(view: ServingView, status: ServingStatus) -> int:
    return view.ready(status.stable) + (view.ready(status.rollout.version) if status.rollout else 0)


def _state(status: ServingStatus) -> str:
    if status.rollout:
        return _words(status.rollout)
    if status.rejected:
        return "rolled back"
    return "serving" if status.stable else "waiting"


def _words(rollout: RolloutStatus) -> str:
    """Such as ``step 2, 10 %, verifying``."""
    where = "promoting" if rollout.promoted else f"step {rollout.step + 1}"
    return f"{where}, {rollout.weight} %, {rollout.phase.lower()}"


def _past(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason
