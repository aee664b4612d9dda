"""What is written when a Work that has a Job is wanted otherwise."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import is_true
from lykeion.platform.kubernetes.objects.translation import SPEC_ANNOTATION
from lykeion.platform.kubernetes.works.work_status import IGNORED
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.programs.program_volume import VolumeMount

from .job_documents import FACTS, RUNNING, job, pod, stored, true, work

QUEUED = Program(command=("true",), pod=PodTemplate(queue_name="night"))
NODE = pod(0, "Running", state=RUNNING)


def wanted(was: Any, **fields: Any) -> Any:
    return replace(was, spec=structs.replace(was.spec, **fields))


def changes(was: Any, *others: Any, status: Any = None, **fields: Any) -> list[tuple[str, Any]]:
    there = {**job(was), "status": status or {}}
    return [
        (each.verb, each.document.get("spec"))
        for each in WORKS.changes((there, *others), wanted(was, **fields), FACTS)
    ]


@pytest.mark.parametrize(
    ("was", "fields", "spec"),
    [
        (work(4, parallelism=1), {"parallelism": 3}, {"parallelism": 3}),
        (work(4, parallelism=1), {"parallelism": 9}, {"parallelism": 4}),
        (work(2), {"suspend": True}, {"suspend": True}),
        (work(2, suspend=True), {"suspend": False}, {"suspend": False, "parallelism": 1}),
        (work(2), {"stop": True}, {"suspend": True, "parallelism": 0}),
        (work(2, program=QUEUED), {"stop": True}, {"suspend": True, "parallelism": 0}),
    ],
)
def test_a_job_is_changed_in_place_where_it_can_be(was: Any, fields: Any, spec: Any) -> None:
    assert changes(was, **fields) == [("merge", spec)]


@pytest.mark.parametrize(
    ("was", "fields"),
    [
        (work(2, program=QUEUED), {"suspend": True}),
        (work(2, suspend=True), {"retries": 5}),
        (work(2, suspend=True), {"retries": 5, "suspend": False}),
    ],
)
def test_another_job_takes_its_place_where_it_cannot(was: Any, fields: Any) -> None:
    _, (deleted, _), (created, spec), _ = changes(was, **fields)
    assert (deleted, created, spec["suspend"]) == ("delete", "create", True)
    assert spec["backoffLimitPerIndex"] == fields.get("retries", 0)


def test_what_has_ended_is_left_as_it_is() -> None:
    over = {"completedIndexes": "0-1", "conditions": [true("Complete")]}
    assert changes(work(2), status=over, stop=True) == [("merge", None)]
    assert changes(work(2), status=over, suspend=True) == [("merge", None)]


def test_what_cannot_change_while_it_runs_is_named_until_it_is_begun_anew() -> None:
    was = work(2, retries=1)
    there = job(was)
    (change,) = WORKS.changes((there, NODE), wanted(was, retries=4, time_limit_seconds=9), FACTS)
    assert change.document["metadata"]["annotations"][IGNORED] == "retries, timeLimitSeconds"
    there["metadata"]["annotations"] |= change.document["metadata"]["annotations"]
    read = WORKS.resource_of(there, [NODE])
    assert read.spec.retries == 4
    assert is_true(read.status.conditions, "Ignored")


def test_what_was_refused_is_made_once_it_can_be() -> None:
    mount = (VolumeMount(volume="run", variable="LYKEION_RUN"),)
    was = work(2, parallelism=2, mounts=mount)
    assert changes(was, parallelism=2) == []
    assert WORKS.resource_of(job(was), ()).metadata.labels, "so that its controller applies it again"
    _, (deleted, _), (created, spec), _ = changes(was, parallelism=1)
    assert (deleted, created, spec["parallelism"]) == ("delete", "create", 1)
    there = {**job(was), "status": {}}
    made = WORKS.changes((there,), wanted(was, parallelism=1), FACTS)[2].document
    (resumed,) = WORKS.changes((stored(made, "job-2"),), wanted(was, parallelism=1), FACTS)
    assert resumed.document["spec"] == {"suspend": False, "parallelism": 1}
    assert SPEC_ANNOTATION in resumed.document["metadata"]["annotations"]
