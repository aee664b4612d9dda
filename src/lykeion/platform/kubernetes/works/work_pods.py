"""The pods of a Work as attempts: which index, the how many-eth attempt, and how it ended. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from lykeion.platform.kubernetes.objects import KubeObject, annotation, part, parts, text
from lykeion.platform.kubernetes.pods import ended_container, program_container, reason_of
from lykeion.platform.resources.plain_kinds import FailedAttempt

INDEX = "batch.kubernetes.io/job-completion-index"
GLOBAL_INDEX, JOB_SET_UID = "jobset.sigs.k8s.io/job-global-index", "jobset.sigs.k8s.io/jobset-uid"
_FAILURES = ("batch.kubernetes.io/job-index-failure-count", "batch.kubernetes.io/job-index-ignored-failure-count")
LIMIT_LINE = 400
LIMIT_RESULT = 4096


def index_of(pod: Mapping[str, Any]) -> int | None:
    """None if the pod is not one of an Indexed Job, or of a JobSet."""
    return _count(pod, GLOBAL_INDEX, _count(pod, INDEX, None))


def attempt_of(pod: Mapping[str, Any]) -> int:
    """From 0, at its index in its Job."""
    return sum(_count(pod, each, 0) or 0 for each in _FAILURES)


def failures_before(pod: Mapping[str, Any]) -> int:
    """That its Job has counted at its index, up to this pod."""
    return _count(pod, _FAILURES[0], 0) or 0


def owned_by(pods: Iterable[KubeObject], job: KubeObject) -> list[KubeObject]:
    """The pods of this Job or JobSet, not those of one of the same name before it."""
    uid = job["metadata"]["uid"]
    return [each for each in pods if uid in (*_owners(each), annotation(each, JOB_SET_UID))]


def has_started(pod: Mapping[str, Any]) -> bool:
    """Whether its program was begun, or it ended before it could be."""
    if text(pod, "status", "phase") not in ("", "Pending"):
        return True
    state = part(program_container(pod), "state")
    return "running" in state or "terminated" in state


def has_ended(pod: Mapping[str, Any]) -> bool:
    return text(pod, "status", "phase") in ("Succeeded", "Failed")


def runs(pod: Mapping[str, Any]) -> bool:
    return has_started(pod) and not has_ended(pod)


def was_stopped(pod: Mapping[str, Any]) -> bool:
    """Whether it was deleted, which counts as no failure: by its Job, or by a person."""
    return "deletionTimestamp" in pod["metadata"] and not reason_of(pod)


def has_failed(pod: Mapping[str, Any]) -> bool:
    return text(pod, "status", "phase") == "Failed" and not was_stopped(pod)


def failed_pods(pods: Iterable[KubeObject]) -> list[KubeObject]:
    """Those that have failed, in the order in which they did."""
    return sorted(filter(has_failed, pods), key=lambda each: (end_of_pod(each), index_of(each) or 0))


def end_of_pod(pod: Mapping[str, Any]) -> str:
    """When it ended, as Kubernetes has it; when it was created if that is not known."""
    return text(ended_container(pod), "finishedAt") or text(pod, "metadata", "creationTimestamp")


def failure_of(pod: KubeObject, attempt: int) -> FailedAttempt:
    ended, code = ended_container(pod), ended_container(pod).get("exitCode")
    said = text(ended, "message") or text(pod, "status", "message")
    return FailedAttempt(
        index=index_of(pod) or 0,
        attempt=attempt,
        reason=reason_of(pod) or "ExitCode",
        message=last_line(said),
        exit_code=code if isinstance(code, int) else None,
        at=time_of(end_of_pod(pod)),
    )


def result_of(pods: Sequence[KubeObject]) -> str:
    """What the program of index 0 wrote to ``$LYKEION_RESULT``; empty if it has not succeeded."""
    good = (each for each in pods if index_of(each) == 0 and text(each, "status", "phase") == "Succeeded")
    return next((text(ended_container(each), "message")[:LIMIT_RESULT] for each in good), "")


def last_line(printed: str) -> str:
    """Of what a program has printed, at most 400 characters."""
    lines = (line.strip() for line in reversed(printed[-(1 << 14) :].splitlines()))
    return next((line[-LIMIT_LINE:] for line in lines if line), "")


def time_of(written: str) -> datetime | None:
    """A time as Kubernetes writes it; None for an empty text."""
    return msgspec.convert(written, datetime) if written else None


def _count(pod: Mapping[str, Any], name: str, default: int | None) -> int | None:
    written = annotation(pod, name)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else default


def _owners(pod: Mapping[str, Any]) -> list[str]:
    return [text(each, "uid") for each in parts(pod, "metadata", "ownerReferences")]
