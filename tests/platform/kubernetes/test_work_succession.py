"""An operator that is killed between any two writes forgets nothing of what the programs of a Work have done."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.platform.kubernetes.objects import ObjectChange, key_of
from lykeion.platform.kubernetes.pods import QUEUE_LABEL
from lykeion.platform.kubernetes.works.work_status import RECORD
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.pod_template import PodTemplate
from lykeion.platform.resources.program import Program
from lykeion.platform.resources.work import Role

from .job_documents import FACTS, ended, job, pod, stored, true, work

QUEUED = work(6, parallelism=6, program=Program(command=("true",), pod=PodTemplate(queue_name="night")))
GANG = work(2, parallelism=2, retries=3, roles=(Role(name="worker", replicas=2),))


class Objects:
    """What a server keeps, to which an operator writes until it is killed."""

    def __init__(self, *documents: Any) -> None:
        self.there = {key_of(each): each for each in documents}
        self.version = 1

    def write(self, change: ObjectChange) -> None:
        document, self.version = change.document, self.version + 1
        key = key_of({**document, "metadata": {"namespace": "default", **document["metadata"]}})
        if change.verb == "delete":
            self.there.pop(key, None)
        elif change.verb == "create":
            assert key not in self.there
            self.there[key] = {**stored(document, f"uid-{self.version}", self.version), "status": {}}
        else:
            was, given = self.there[key], document["metadata"].get("annotations", {})
            kept = {**was["metadata"].get("annotations", {}), **given}
            labels = {**was["metadata"].get("labels", {}), **document["metadata"].get("labels", {})}
            metadata = {
                **was["metadata"],
                "labels": labels,
                "annotations": {name: value for name, value in kept.items() if value is not None},
            }
            bodies = {part: {**was.get(part, {}), **document.get(part, {})} for part in ("spec", "status")}
            self.there[key] = {**was, **bodies, "metadata": metadata}

    def converge(self, wanted: Any, kill: int) -> None:
        """As an operator that lives for so many writes, and the next one until there is nothing to do."""
        for writes in (kill, 100):
            for change in self._changes(wanted):
                if writes == 0:
                    break
                self.write(change)
                writes -= 1

    def _changes(self, wanted: Any) -> Iterator[ObjectChange]:
        while True:
            primary, others = self.split()
            if primary is None:
                made = WORKS.succeeding(wanted, FACTS, others) or WORKS.objects(wanted, FACTS)[0]
                yield ObjectChange("create", made)
            elif WORKS.resource_of(primary, others).spec == wanted.spec:
                return
            else:
                yield from WORKS.changes((primary, *others), wanted, FACTS)

    def split(self) -> tuple[Any, list[Any]]:
        others = dict(self.there)
        primary = others.pop(("Job", "default", "embed"), None)
        return primary, list(others.values())


@pytest.mark.parametrize("kill", range(9))
def test_a_queued_work_that_is_suspended_and_resumed_knows_what_was_done_wherever_its_operator_is_killed(
    kill: int,
) -> None:
    done = [pod(index, "Succeeded", state=ended(message=f"r{index}")) for index in (0, 3)]
    server = Objects(job(QUEUED, completedIndexes="0,3"), *done)
    server.converge(replace(QUEUED, spec=structs.replace(QUEUED.spec, suspend=True)), kill)
    for each in done:  # with their Job
        server.there.pop(key_of(each), None)
    server.converge(QUEUED, max(0, kill - 4))
    primary, others = server.split()
    seen = WORKS.resource_of(primary, others).status
    assert (seen.succeeded, seen.attempts, seen.result) == ("0,3", 2, "r0")
    assert primary["status"]["completedIndexes"] == "0,3", "so that these are not run again"
    assert [each for each in others if each["kind"] == "Job"] == []


@pytest.mark.parametrize("kill", range(6))
def test_the_next_attempt_of_all_processes_counts_the_last_one_wherever_the_operator_is_killed(kill: int) -> None:
    failed = [pod(index, "Failed", state=ended(4)) for index in (0, 1)]
    first = job(GANG, conditions=[true("FailureTarget"), true("Failed", "BackoffLimitExceeded")])
    server = Objects(first, *failed)
    server.converge(GANG, kill)
    primary, others = server.split()
    seen = WORKS.resource_of(primary, others).status
    assert (seen.attempts, len(seen.failures), seen.failed) == (1, 1, "")
    assert primary["spec"]["suspend"] is False
    assert [each for each in others if each["kind"] == "Job"] == []


def test_a_job_that_keeps_a_record_has_no_pods_in_no_queue_even_if_another_resumes_it() -> None:
    suspended = replace(QUEUED, spec=structs.replace(QUEUED.spec, suspend=True))
    keeper, _, successor, _ = WORKS.changes((job(QUEUED, completedIndexes="0"),), suspended, FACTS)
    assert (keeper.document["spec"]["suspend"], keeper.document["spec"]["parallelism"]) == (True, 0)
    assert QUEUE_LABEL not in keeper.document["metadata"]["labels"]
    assert successor.document["spec"]["parallelism"] == 6


def test_a_record_is_not_that_of_another_program_of_the_same_name() -> None:
    server = Objects(job(QUEUED, completedIndexes="0"), pod(0, "Succeeded", state=ended()))
    suspended = replace(QUEUED, spec=structs.replace(QUEUED.spec, suspend=True))
    for change in WORKS.changes(tuple(server.there.values()), suspended, FACTS)[:2]:
        server.write(change)
    primary, others = server.split()
    assert primary is None
    assert RECORD in WORKS.succeeding(QUEUED, FACTS, others)["metadata"]["annotations"]
    other = work(6, parallelism=6, program=Program(command=("false",)))
    assert WORKS.succeeding(other, FACTS, others) is None
