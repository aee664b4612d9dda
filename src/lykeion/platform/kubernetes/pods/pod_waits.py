"""Why pods do not start, in plain words: read from their status, and from events about them and what creates them.

Reasons are those of https://kubernetes.io/docs/concepts/containers/images/, of the kubelet's
pkg/kubelet/kuberuntime and of the scheduler. That a volume cannot be mounted is only in events.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lykeion.platform.kubernetes.objects import part, parts, text, true_condition

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
_ROOT = re.compile(r"runAsNonRoot and image (?:will run as root|has non-numeric user \(([^)]{1,253})\))")
"""https://github.com/kubernetes/kubernetes/blob/v1.34.3/pkg/kubelet/kuberuntime/security_context.go"""
UNMOUNTED = "FailedMount"
"""Of events about pods."""
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]{1,253})" (?:not found|is being deleted)')


@dataclass(frozen=True)
class PodWait:
    """``reason`` is one word, ``message`` at most 1024 characters, ``since`` a time as Kubernetes has it."""

    reason: str
    message: str
    since: str = ""


def wait_of(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = ()) -> PodWait | None:
    """Why a pod does not start; None if it has started, or nothing hinders it."""
    if text(pod, "status", "phase") not in ("", "Pending"):
        return None
    since = text(pod, "metadata", "creationTimestamp")
    for image, waiting in _containers(pod):
        if found := _container_wait(image, waiting):
            return PodWait(*found, since)
    if said := _unmounted(pod, events):
        return PodWait("NotMounted", _bounded(f"a volume cannot be mounted: {said}"), since)
    for each in parts(pod, "status", "conditions"):
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return _unscheduled(each)
    return None


def first_wait(pods: Iterable[Mapping[str, Any]], events: Sequence[Mapping[str, Any]] = ()) -> PodWait | None:
    return next((found for each in pods if (found := wait_of(each, events))), None)


def refused_pods(events: Sequence[Mapping[str, Any]]) -> PodWait | None:
    """Why no pod can be created, from the latest event FailedCreate, such as a quota that is used up."""
    failed = [each for each in events if each.get("reason") == "FailedCreate"]
    if not failed:
        return None
    last = max(failed, key=_seen)
    said = _said(last)
    reason = "Quota" if "exceeded quota" in said or "failed quota" in said else "PodsRefused"
    return PodWait(reason, _bounded(f"no pod can be created: {said}"), _seen(last))


def _containers(pod: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The image of each container, in the order in which they start, and why it waits."""
    for statuses, specs in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")):
        images = {text(each, "name"): text(each, "image") for each in parts(pod, "spec", specs)}
        for each in parts(pod, "status", statuses):
            yield images.get(text(each, "name"), ""), part(each, "state", "waiting")


def _container_wait(image: str, waiting: Mapping[str, Any]) -> tuple[str, str] | None:
    reason, said = text(waiting, "reason"), text(waiting, "message")
    if reason in _IMAGE:
        return "ImageNotPulled", _bounded(f"the image {image} cannot be pulled: {said or reason}")
    if reason in _CONFIGURATION and (root := _ROOT.search(said)):
        how = f"names its user {root[1]}, and not by a number" if root[1] else "would run as root"
        return "RunsAsRoot", _bounded(f"the image {image} {how}: set pod.runAsUser to a number other than 0")
    if reason in _CONFIGURATION:
        return "NoValue", _bounded(said or reason)
    return ("CannotStart", _bounded(f"the program cannot be started: {said or reason}")) if reason in _START else None


def _unmounted(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """The words of the event that says most; empty if there is none, or its volumes have been mounted since."""
    if true_condition(pod, "PodReadyToStartContainers"):
        return ""
    uid = text(pod, "metadata", "uid")
    failed = (each for each in events if each.get("reason") == UNMOUNTED and text(each, "regarding", "uid") == uid)
    said = [(_said(each), _seen(each)) for each in failed]
    return max(said, key=lambda each: (not each[0].startswith(_TIMED_OUT), each[1]), default=("", ""))[0]


_TIMED_OUT = "Unable to attach or mount volumes"
"""What the kubelet says after two minutes, without the cause."""


def _unscheduled(condition: Mapping[str, Any]) -> PodWait:
    said, since = text(condition, "message"), text(condition, "lastTransitionTime")
    if found := _CLAIM.search(said):
        return PodWait("NoVolume", f"there is no volume {found[1]}", since)
    if condition.get("reason") == "SchedulingGated":
        return PodWait("Gated", _bounded(f"it is held back: {said}"), since)
    return PodWait("NoRoom", _bounded(f"no node takes it: {said}"), since)


def _said(event: Mapping[str, Any]) -> str:
    return text(event, "note") or text(event, "message")


def _seen(event: Mapping[str, Any]) -> str:
    times = (
        text(event, "series", "lastObservedTime"),
        text(event, "deprecatedLastTimestamp"),
        text(event, "eventTime"),
    )
    return next(filter(None, times), "")


def _bounded(message: str) -> str:
    return " ".join(message.split())[:LIMIT_MESSAGE]
