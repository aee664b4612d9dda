"""Jobs and pods as the API server has them, for tests."""

from collections.abc import Sequence
from typing import Any

from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.works.work_job_set import work_objects
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec
from lykeion.platform.resources.programs.program import Program

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
NOON = "2026-11-01T12:00:00Z"
FACTS = ClusterFacts(image="lykeion:1")


def work(completions: int = 1, **fields: Any) -> Any:
    program = fields.pop("program", Program(command=("true",)))
    return WORK.new("embed", WorkSpec(program=program, completions=completions, **fields))


def stored(document: dict[str, Any], uid: str = "job-1", version: int = 1) -> dict[str, Any]:
    """As the server has stored it."""
    metadata = {"uid": uid, "resourceVersion": str(version), "generation": 1, "creationTimestamp": NOON}
    return {**document, "metadata": {**document["metadata"], **metadata}}


def job(wanted: Any, *, uid: str = "job-1", facts: ClusterFacts = FACTS, **status: Any) -> dict[str, Any]:
    return {**stored(work_objects(wanted, facts)[0], uid), "status": status}


def true(type_: str, reason: str = "", at: str = NOON, message: str = "") -> dict[str, str]:
    return {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}


def pod(
    index: int = 0,
    phase: str = "Pending",
    *,
    number: int = 0,
    ignored: int = 0,
    uid: str = "job-1",
    state: Any = None,
    conditions: Sequence[Any] = (),
    deleted: bool = False,
    **status: Any,
) -> dict[str, Any]:
    """``state`` is that of the container: a waiting, running or terminated one."""
    name = f"embed-{index}-{uid}-{number}-{ignored}"
    counts = {INDEX: str(index), FAILURES: str(number), IGNORED_FAILURES: str(ignored)}
    metadata = {
        "name": name,
        "annotations": counts,
        "labels": {"lykeion.github.io/name": "embed"},
        "ownerReferences": [{"kind": "Job", "uid": uid, "controller": True}],
        **({"deletionTimestamp": NOON} if deleted else {}),
    }
    containers = [{"name": "program", "state": state}] if state else []
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    document["spec"] = {"containers": [{"name": "program", "image": "shop:v1"}]}
    document["status"] = {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status}
    return stored(document, f"uid-{name}")


def ended(code: int = 0, reason: str = "", message: str = "", at: str = NOON) -> dict[str, Any]:
    reason = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING: dict[str, Any] = {"running": {"startedAt": NOON}}
