"""A ReplicaGroup as its Deployment and pods say that it is. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from lykeion.control import AnyResource, Condition, Conditions, merged
from lykeion.platform.kubernetes.objects import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    EVENTS,
    SERVICES,
    KubeObject,
    annotation,
    incomplete,
    pods_among,
    read_view,
    with_missing,
)
from lykeion.platform.kubernetes.pods import CONTAINER, PodWait, first_wait
from lykeion.platform.kubernetes.works import REFUSED
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, FailedAttempt, ReplicaGroupStatus

LIMIT_EXIT = 512
_REASONS = {"Error": "ExitCode", "Completed": "ExitCode", "OOMKilled": "OutOfMemory", "": "ExitCode"}


def replica_group_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    """``spec.replicas`` is the Deployment's: an autoscaler may have written it. Raises ResourceError."""
    pods = pods_among(others)
    exits = [each for pod in pods for each in _exits(pod)]
    at, last = max(exits, key=lambda each: each[0], default=("", ""))
    there: KubeObject = primary.get("status", {})
    status = ReplicaGroupStatus(
        replicas=there.get("replicas", 0),
        ready=there.get("readyReplicas", 0),
        restarts=sum(map(_restarts, pods)),
        last_exit=last,
        last_exit_time=datetime.fromisoformat(at) if at else None,
        conditions=_conditions(primary, pods, others),
    )
    group = read_view(REPLICA_GROUP, primary, others, status)
    spec = structs.replace(group.spec, replicas=primary["spec"].get("replicas", 1))
    if annotation(primary, REFUSED):
        spec = structs.replace(spec, autoscaling=None)  # with no replicas: whoever wants some applies it again
        group = incomplete(group, DEPLOYMENTS.kind)
    kinds = [SERVICES, DISRUPTION_BUDGETS, *([AUTOSCALERS] if spec.autoscaling else [])]
    return with_missing(replace(group, spec=spec), others, [(each.kind, group.metadata.name) for each in kinds])


def _conditions(primary: KubeObject, pods: Sequence[KubeObject], others: Sequence[KubeObject]) -> Conditions:
    """Unschedulable, with the cause, if pods cannot be created or started; Autoscaled, if there is an autoscaler."""
    events = [each for each in others if each["kind"] == EVENTS.kind]
    wait = _refused(primary) or first_wait((each for each in pods if not _is_ending(each)), events)
    scaled = [_autoscaled(each) for each in others if each["kind"] == AUTOSCALERS.kind]
    at = datetime.fromisoformat(max(_since(each) for each in (primary, *pods)))
    return merged((), at, _unschedulable(wait), *scaled)


def _unschedulable(wait: PodWait | None) -> Condition:
    if wait is None:
        return Condition(type="Unschedulable", status="False", reason="Fits")
    return Condition(type="Unschedulable", status="True", reason=wait.reason, message=wait.message)


def _refused(deployment: KubeObject) -> PodWait | None:
    """Why its pods cannot be created: the cluster has no such, or a quota is used up."""
    if refused := annotation(deployment, REFUSED):
        return PodWait("Unsupported", refused)
    failed = [each for each in _of_type(deployment, "ReplicaFailure") if each["status"] == "True"]
    return PodWait("PodsRefused", f"no pod can be created: {failed[0].get('message', '')}") if failed else None


def _autoscaled(scaler: KubeObject) -> Condition:
    """Whether the autoscaler can read the load, and if not, why."""
    for each in _of_type(scaler, "ScalingActive"):
        return Condition(
            type="Autoscaled",
            status=each["status"],
            reason=each.get("reason", "")[:63],
            message=each.get("message", "") if each["status"] != "True" else "",
        )
    return Condition(type="Autoscaled", status="Unknown", reason="NotYetRead")


def _exits(pod: KubeObject) -> Iterable[tuple[str, str]]:
    """When and how containers ended by themselves; those of a pod that is to end do not."""
    for each in () if _is_ending(pod) else _containers(pod):
        for state in ("lastState", "state"):
            ended: KubeObject | None = each.get(state, {}).get("terminated")
            fetched = each["name"] != CONTAINER and ended and ended["exitCode"] == 0
            if ended and not fetched:
                yield ended.get("finishedAt") or "", _words(each["name"], ended)


def _restarts(pod: KubeObject) -> int:
    """Of the program: what fetches for it may try again."""
    return sum(each.get("restartCount", 0) for each in _containers(pod) if each["name"] == CONTAINER)


def _words(container: str, ended: KubeObject) -> str:
    lines = [each.strip() for each in str(ended.get("message") or "").splitlines() if each.strip()]
    reason = str(ended.get("reason") or "")
    failure = FailedAttempt(
        index=0,
        attempt=0,
        reason=_REASONS.get(reason, reason[:63]),
        message=(lines[-1] if lines else "")[:LIMIT_EXIT],
        exit_code=ended["exitCode"],
    )
    where = "" if container == CONTAINER else f"{container}: "
    return f"{where}{failure.words()}"[:LIMIT_EXIT]


def _is_ending(pod: KubeObject) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _since(document: KubeObject) -> str:
    times = [str(each["lastTransitionTime"]) for each in _reported(document) if each.get("lastTransitionTime")]
    return max(times, default=document["metadata"]["creationTimestamp"])


def _of_type(document: KubeObject, type_: str) -> list[KubeObject]:
    return [each for each in _reported(document) if each["type"] == type_]


def _reported(document: KubeObject) -> Sequence[KubeObject]:
    found: Sequence[KubeObject] | None = document.get("status", {}).get("conditions")
    return found or ()


def _containers(pod: KubeObject) -> list[KubeObject]:
    status: KubeObject = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
