"""A pod's status from its containers': pure functions, in the words of the kubelet.

After getPhase in pkg/kubelet/kubelet_pods.go and the conditions of pkg/kubelet/status/generate.go, Kubernetes 1.34.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = dict[str, Any]


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Of an init container: a native sidecar."""
    return container.get("restartPolicy") == "Always"


def should_restart(pod_spec: Mapping[str, Any], code: int, *, init: bool = False) -> bool:
    policy = pod_spec.get("restartPolicy", "Always")
    return policy != "Never" and (code != 0 if init or policy == "OnFailure" else True)


def phase(spec: Mapping[str, Any], statuses: Mapping[str, Object], *, terminal: bool, initialized: bool) -> str:
    """``terminal`` when nothing will be started again; ``initialized`` once a main container has started."""
    failed_init, pending_regular, pending_sidecars, running, waiting, stopped, succeeded, unknown = [0] * 8
    for container in spec.get("initContainers", ()):
        status = statuses.get(container["name"], {})
        state, last = status.get("state", {}), status.get("lastState", {})
        if is_sidecar(container):
            if "running" in state:
                pending_sidecars += not status.get("started")
                running += 1
            elif "waiting" in state and "terminated" not in last:
                pending_sidecars += 1
                waiting += 1
            elif not state:
                unknown += 1
            continue
        ended = state.get("terminated") or last.get("terminated")
        if "running" in state or not ended:
            pending_regular += 1
        elif ended["exitCode"]:
            failed_init += 1
    for container in spec["containers"]:
        status = statuses.get(container["name"], {})
        state = status.get("state", {})
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            succeeded += state["terminated"]["exitCode"] == 0
        elif "waiting" in state:
            restarting = "terminated" in status.get("lastState", {})
            stopped += restarting
            waiting += not restarting
        else:
            unknown += 1
    if failed_init and spec.get("restartPolicy") == "Never":
        return "Failed"
    if pending_regular or (pending_sidecars and not initialized) or waiting:
        return "Pending"
    if running and not unknown:
        return "Running"
    if running or not stopped or unknown:
        return "Pending"
    if terminal:
        return "Succeeded" if stopped == succeeded else "Failed"
    if spec.get("restartPolicy", "Always") == "Always":
        return "Running"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if spec["restartPolicy"] == "Never" else "Running"


def conditions(
    pod: Mapping[str, Any], statuses: Mapping[str, Object], phase_now: str, *, network: bool, now: str
) -> list[Object]:
    """The kubelet's conditions; a time is kept where the status stays. Others' conditions are not in it."""
    spec, before = pod["spec"], {it["type"]: it for it in pod.get("status", {}).get("conditions", ())}
    ready = _containers_ready(spec, statuses, phase_now)
    wanted = {
        "PodReadyToStartContainers": {"status": _text(network)},
        "Initialized": _initialized(spec, statuses, phase_now),
        "Ready": _gated(spec, before) if ready["status"] == "True" else ready,
        "ContainersReady": ready,
        "PodScheduled": {"status": "True"},
    }
    result = []
    for type_, fields in wanted.items():
        old = before.get(type_, {})
        since = old.get("lastTransitionTime") if old.get("status") == fields["status"] else None
        generation = pod["metadata"].get("generation", 0)
        result.append(
            {
                "type": type_,
                "observedGeneration": generation,
                "lastTransitionTime": since or now,
                "lastProbeTime": None,
            }
            | {"reason": None, "message": None}
            | fields
        )
    return result


def _containers_ready(spec: Mapping[str, Any], statuses: Mapping[str, Object], phase_now: str) -> Object:
    if phase_now in ("Succeeded", "Failed"):
        return {"status": "False", "reason": "PodCompleted" if phase_now == "Succeeded" else "PodFailed"}
    names = [it["name"] for it in spec.get("initContainers", ()) if is_sidecar(it)]
    names += [it["name"] for it in spec["containers"]]
    unready = [name for name in names if not statuses.get(name, {}).get("ready")]
    return _unless(unready, "ContainersNotReady", f"containers with unready status: {_go_list(unready)}")


def _initialized(spec: Mapping[str, Any], statuses: Mapping[str, Object], phase_now: str) -> Object:
    if phase_now == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    if any(has_started(statuses.get(it["name"], {})) for it in spec["containers"]):
        return {"status": "True"}
    incomplete = [
        it["name"]
        for it in spec.get("initContainers", ())
        if not statuses.get(it["name"], {}).get("started" if is_sidecar(it) else "ready")
    ]
    return _unless(
        incomplete, "ContainersNotInitialized", f"containers with incomplete status: {_go_list(incomplete)}"
    )


def _gated(spec: Mapping[str, Any], conditions_now: Mapping[str, Object]) -> Object:
    messages = []
    for gate in (it["conditionType"] for it in spec.get("readinessGates", ())):
        status = conditions_now.get(gate, {}).get("status")
        if status is None:
            messages.append(f'corresponding condition of pod readiness gate "{gate}" does not exist.')
        elif status != "True":
            messages.append(f'the status of pod readiness gate "{gate}" is not "True", but {status}')
    return _unless(messages, "ReadinessGatesNotReady", ", ".join(messages))


def has_started(status: Mapping[str, Any]) -> bool:
    state = status.get("state", {})
    return "running" in state or "terminated" in state or "terminated" in status.get("lastState", {})


def _unless(unmet: Sequence[str], reason: str, message: str) -> Object:
    return {"status": "False", "reason": reason, "message": message} if unmet else {"status": "True"}


def _go_list(names: Iterable[str]) -> str:
    return f"[{' '.join(names)}]"


def _text(value: bool) -> str:
    return "True" if value else "False"
