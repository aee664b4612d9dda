"""Why pods do not start, in plain words: read from their status, and from the events of what creates them.

Reasons are those of https://kubernetes.io/docs/concepts/containers/images/, of the kubelet's
pkg/kubelet/kuberuntime and of the scheduler.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lykeion.platform.kubernetes.objects import NOTHING, part, parts, text

from .failure_policy import program_container

LIMIT_MESSAGE = 1024
_IMAGE = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
    }
)
_CONFIGURATION = frozenset({"CreateContainerConfigError"})
_START = frozenset({"CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError"})
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]{1,253})" (?:not found|is being deleted)')


@dataclass(frozen=True)
class PodWait:
    """``reason`` is one word, ``message`` at most 1024 characters, ``since`` a time as Kubernetes has it."""

    reason: str
    message: str
    since: str = ""


def wait_of(pod: Mapping[str, Any]) -> PodWait | None:
    """Why a pod does not start; None if it has started, or nothing hinders it."""
    if text(pod, "status", "phase") not in ("", "Pending"):
        return None
    waiting = part(program_container(pod), "state", "waiting")
    since = text(pod, "metadata", "creationTimestamp")
    if found := _container_wait(pod, waiting):
        return PodWait(*found, since)
    for each in parts(pod, "status", "conditions"):
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return _unscheduled(each)
    return None


def first_wait(pods: Iterable[Mapping[str, Any]]) -> PodWait | None:
    return next((found for each in pods if (found := wait_of(each))), None)


def refused_pods(events: Sequence[Mapping[str, Any]]) -> PodWait | None:
    """Why no pod can be created, from the latest event FailedCreate, such as a quota that is used up."""
    failed = [each for each in events if each.get("reason") == "FailedCreate"]
    if not failed:
        return None
    last = max(failed, key=_seen)
    said = text(last, "note") or text(last, "message")
    reason = "Quota" if "exceeded quota" in said or "failed quota" in said else "PodsRefused"
    return PodWait(reason, _bounded(f"no pod can be created: {said}"), _seen(last))


def _container_wait(pod: Mapping[str, Any], waiting: Mapping[str, Any]) -> tuple[str, str] | None:
    reason, said = text(waiting, "reason"), text(waiting, "message")
    if reason in _IMAGE:
        image = program_image(pod)
        return "ImageNotPulled", _bounded(f"the image {image} cannot be pulled: {said or reason}")
    if reason in _CONFIGURATION:
        return "NoValue", _bounded(said or reason)
    return ("CannotStart", _bounded(f"the program cannot be started: {said or reason}")) if reason in _START else None


def program_image(pod: Mapping[str, Any]) -> str:
    return text(next(iter(parts(pod, "spec", "containers")), NOTHING), "image")


def _unscheduled(condition: Mapping[str, Any]) -> PodWait:
    said, since = text(condition, "message"), text(condition, "lastTransitionTime")
    if found := _CLAIM.search(said):
        return PodWait("NoVolume", f"there is no volume {found[1]}", since)
    if condition.get("reason") == "SchedulingGated":
        return PodWait("Gated", _bounded(f"it is held back: {said}"), since)
    return PodWait("NoRoom", _bounded(f"no node takes it: {said}"), since)


def _seen(event: Mapping[str, Any]) -> str:
    times = (
        text(event, "series", "lastObservedTime"),
        text(event, "deprecatedLastTimestamp"),
        text(event, "eventTime"),
    )
    return next(filter(None, times), "")


def _bounded(message: str) -> str:
    return " ".join(message.split())[:LIMIT_MESSAGE]
