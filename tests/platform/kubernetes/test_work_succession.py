"""An operator that is killed between any two writes forgets nothing of what the programs of a Work have done."""

from dataclasses import replace

import pytest
from msgspec import structs

from lykeion.platform.kubernetes.objects import key_of
from lykeion.platform.kubernetes.pods import QUEUE_LABEL
from lykeion.platform.kubernetes.works.work_record import RECORD
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.used_retries import UsedRetries
from lykeion.platform.resources.plain_kinds.work import Role
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import Program

from .job_documents import FACTS, ended, job, pod, true, work
from .written_objects import WrittenObjects

QUEUED = work(6, parallelism=6, program=Program(command=("true",), pod=PodTemplate(queue_name="night")))
GANG = work(2, parallelism=2, retries=3, roles=(Role(name="worker", replicas=2),))


@pytest.mark.parametrize("kill", range(9))
def test_a_queued_work_that_is_suspended_and_resumed_knows_what_was_done_wherever_its_operator_is_killed(
    kill: int,
) -> None:
    done = [pod(index, "Succeeded", state=ended(message=f"r{index}")) for index in (0, 3)]
    server = WrittenObjects(job(QUEUED, completedIndexes="0,3"), *done)
    server.converge(replace(QUEUED, spec=structs.replace(QUEUED.spec, suspend=True)), kill)
    for each in done:  # with their Job
        server.there.pop(key_of(each), None)
    server.converge(QUEUED, max(0, kill - 4))
    primary, others = server.split()
    seen = WORKS.resource_of(primary, others).status
    assert (seen.succeeded, seen.attempts, seen.result) == ("0,3", 2, "r0")
    assert primary["status"]["completedIndexes"] == "0,3", "so that these are not run again"
    assert [each for each in others if each["kind"] == "Job"] == []


@pytest.mark.parametrize("kill", range(9))
def test_a_queued_work_keeps_to_its_retries_wherever_its_operator_is_killed(kill: int) -> None:
    wanted = replace(QUEUED, spec=structs.replace(QUEUED.spec, retries=3))
    failed = [pod(1, "Failed", number=number, state=ended(4)) for number in (0, 1)]
    server = WrittenObjects(job(wanted), *failed)
    server.converge(replace(wanted, spec=structs.replace(wanted.spec, suspend=True)), kill)
    for each in failed:  # with their Job
        server.there.pop(key_of(each), None)
    server.converge(wanted, max(0, kill - 4))
    primary, others = server.split()
    assert primary["spec"]["backoffLimitPerIndex"] == 1
    assert WORKS.resource_of(primary, others).status.used == (UsedRetries(failures=2, indexes="1"),)


@pytest.mark.parametrize("kill", range(6))
def test_the_next_attempt_of_all_processes_counts_the_last_one_wherever_the_operator_is_killed(kill: int) -> None:
    failed = [pod(index, "Failed", state=ended(4)) for index in (0, 1)]
    first = job(GANG, conditions=[true("FailureTarget"), true("Failed", "BackoffLimitExceeded")])
    server = WrittenObjects(first, *failed)
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
    server = WrittenObjects(job(QUEUED, completedIndexes="0"), pod(0, "Succeeded", state=ended()))
    suspended = replace(QUEUED, spec=structs.replace(QUEUED.spec, suspend=True))
    for change in WORKS.changes(tuple(server.there.values()), suspended, FACTS)[:2]:
        server.write(change)
    primary, others = server.split()
    assert primary is None
    assert RECORD in WORKS.succeeding(QUEUED, FACTS, others)["metadata"]["annotations"]
    other = work(6, parallelism=6, program=Program(command=("false",)))
    assert WORKS.succeeding(other, FACTS, others) is None
