"""An index of a Work has its retries once, however often its Job is suspended or takes the place of another."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import is_true
from lykeion.platform.kubernetes.works.work_record import read_record
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.index_ranges import from_ranges
from lykeion.platform.resources.plain_kinds.used_retries import UsedRetries, from_used, to_used
from lykeion.platform.resources.plain_kinds.work import Role
from lykeion.platform.resources.programs.failure_rule import FailureRule
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import Program

from .job_controller_double import JobControllerDouble
from .job_documents import FACTS, RUNNING, ended, job, pod, stored, true, work

QUEUED = Program(command=("true",), pod=PodTemplate(queue_name="night"))


def _running(wanted: Any) -> JobControllerDouble:
    double = JobControllerDouble(wanted, job(wanted))
    double.reconcile()
    return double


def _suspend(double: JobControllerDouble, asked: bool) -> None:
    double.wanted = replace(double.wanted, spec=structs.replace(double.wanted.spec, suspend=asked))
    double.reconcile()


@given(st.dictionaries(st.integers(0, 50), st.integers(0, 4)))
def test_numbers_of_failures_are_read_as_they_were_written(counts: dict[int, int]) -> None:
    assert from_used(to_used(counts), 51) == {index: number for index, number in counts.items() if number}


def test_a_job_that_goes_on_after_a_suspension_has_the_retries_that_are_left() -> None:
    double = _running(work(2, retries=3, parallelism=2))
    for _ in range(2):
        double.end(0, "fails")
        double.reconcile()
    first = double.job()["metadata"]["uid"]
    _suspend(double, True)
    assert double.job()["metadata"]["uid"] == first, "so that logs can be read"
    assert double.status().used == (UsedRetries(failures=2, indexes="0"),)
    _suspend(double, False)
    assert double.job()["metadata"]["uid"] != first
    assert double.job()["spec"]["backoffLimitPerIndex"] == 1
    assert double.status().used == (UsedRetries(failures=2, indexes="0"),)


def test_a_job_without_failures_goes_on_itself() -> None:
    double = _running(work(2, retries=3, parallelism=2))
    double.end(0, "evicted")
    double.reconcile()
    first = double.job()["metadata"]["uid"]
    _suspend(double, True)
    _suspend(double, False)
    assert double.job()["metadata"]["uid"] == first
    assert (double.status().used, double.status().active) == ((), "0-1")


def test_the_index_with_more_retries_has_them_in_a_further_job() -> None:
    double = _running(work(2, retries=2, parallelism=2))
    for _ in range(2):
        double.end(0, "fails")
        double.reconcile()
    _suspend(double, True)
    _suspend(double, False)
    assert double.job()["spec"]["backoffLimitPerIndex"] == 0
    for index in (1, 0):
        assert not double.status().failed
        double.end(index, "fails")
        double.reconcile()
    assert (double.status().failed, double.status().active) == ("0", "1")
    assert double.job()["spec"]["backoffLimitPerIndex"] == 1
    for _ in range(2):
        double.end(1, "fails")
        double.reconcile()
    assert double.failures == {0: 3, 1: 3}
    assert is_true(double.status().conditions, "Failed")
    told = sorted((each.index, each.attempt) for each in double.status().failures)
    assert told == [(index, attempt) for index in (0, 1) for attempt in range(3)]


def test_an_index_that_a_rule_has_failed_is_not_tried_in_a_further_job() -> None:
    rules = (FailureRule(action="Fail", exit_codes=(3,)),)
    wanted = work(1, retries=4, on_failure=rules)
    record = replace(wanted, spec=structs.replace(wanted.spec, retries=0))  # the limit that was left
    there = {**job(record, failedIndexes="0", conditions=[true("Failed")])}
    there["metadata"]["annotations"] = job(wanted)["metadata"]["annotations"]
    for code, again in ((3, False), (4, True)):
        seen = WORKS.resource_of(there, [pod(0, "Failed", state=ended(code))])
        assert (seen.spec.suspend, seen.status.failed) == (again, "" if again else "0")
        assert is_true(seen.status.conditions, "Failed") is not again


def test_a_job_that_its_queue_takes_back_makes_way_for_one_that_knows_its_failures() -> None:
    double = _running(work(2, retries=1, parallelism=2, program=QUEUED))
    double.suspend(False)
    double.end(0, "fails")
    double.reconcile()
    double.suspend(True)
    double.reconcile()
    assert (read_record(double.job()).used, double.job()["spec"]["backoffLimitPerIndex"]) == (
        (UsedRetries(failures=1, indexes="0"),),
        0,
    )
    double.suspend(False)
    double.reconcile()
    double.end(0, "fails")
    double.reconcile()
    assert (double.status().failed, double.status().active) == ("0", "1")


def test_a_job_that_went_on_before_the_operator_saw_it_is_told_which_indexes_are_over() -> None:
    double = _running(work(2, retries=1, parallelism=2, program=QUEUED))
    double.suspend(False)
    double.end(0, "fails")
    double.act()
    double.suspend(True)
    double.suspend(False)
    double.end(0, "fails")
    assert (double.status().failed, double.job()["status"].get("failedIndexes")) == ("0", None)
    double.reconcile()
    assert (double.status().failed, double.status().active) == ("0", "1")
    assert double.job()["status"]["failedIndexes"] == "0"
    assert double.failures == {0: 2}


def test_failures_outlive_their_pods() -> None:
    """A node that is removed while a Work is suspended takes them with it."""
    double = _running(work(1, retries=1))
    double.end(0, "fails")
    double.reconcile()
    _suspend(double, True)
    double.there = {key: each for key, each in double.there.items() if each["kind"] != "Pod"}
    _suspend(double, False)
    assert double.job()["spec"]["backoffLimitPerIndex"] == 0
    assert double.status().used == (UsedRetries(failures=1, indexes="0"),)


@pytest.mark.parametrize(("retries", "limit"), [(1, 1), (5, 3), (4, 2)])
def test_retries_that_were_changed_while_it_was_suspended_count_what_was_used(retries: int, limit: int) -> None:
    double = _running(work(2, retries=3, parallelism=2))
    for _ in range(2):
        double.end(0, "fails")
        double.reconcile()
    _suspend(double, True)
    double.wanted = replace(double.wanted, spec=structs.replace(double.wanted.spec, retries=retries))
    _suspend(double, False)
    assert double.job()["spec"]["backoffLimitPerIndex"] == limit
    assert double.status().failed == ("0" if retries < 2 else "")


EVENTS = st.one_of(
    st.tuples(st.sampled_from(["fails", "fails", "evicted", "done"]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["suspend", "queue", "flip"]), st.just(0)),
)


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=24), st.integers(0, 3), st.booleans())
def test_no_index_fails_more_often_than_it_may_and_none_is_given_up_before(
    events: list[tuple[str, int]], retries: int, queued: bool
) -> None:
    program = {"program": QUEUED} if queued else {}
    double = _running(work(3, retries=retries, parallelism=3, **program))
    for how, index in (*events, *[("fails", each) for _ in range(retries + 1) for each in range(3)]):
        double.reconcile()
        if queued and double.job()["spec"]["suspend"]:
            double.suspend(False)
        if how == "suspend":
            _suspend(double, True)
            _suspend(double, False)
        elif how == "queue":
            double.suspend(True)
            double.reconcile()
            double.suspend(False)
        elif how == "flip":
            double.suspend(True)
            double.suspend(False)
        else:
            double.end(index, how)
        status = double.status()
        done = from_ranges(status.succeeded, 3)
        assert max(double.failures.values(), default=0) <= retries + 1
        assert from_used(status.used, 3) == {i: n for i, n in double.failures.items() if i not in done}
        given_up = {index for index, number in double.failures.items() if number > retries}
        assert from_ranges(status.failed, 3) == given_up - done


def test_programs_that_run_all_at_once_wait_for_the_verdict_before_they_are_suspended() -> None:
    """Their Job fails a moment after one of them; what is deleted before that would be forgotten."""
    wanted = work(2, parallelism=2, retries=1, roles=(Role(name="worker", replicas=2),), program=QUEUED)
    suspended = replace(wanted, spec=structs.replace(wanted.spec, suspend=True))
    there = job(wanted)
    pods = [pod(0, "Failed", state=ended(4)), pod(1, "Running", state=RUNNING)]
    assert WORKS.changes((there, *pods), suspended, FACTS) == ()
    there["status"] = {"conditions": [true("Failed", "BackoffLimitExceeded")]}
    successor = WORKS.changes((there, *pods), wanted, FACTS)[2].document
    seen = WORKS.resource_of({**stored(successor, "job-2"), "status": {}}, ()).status
    assert seen.used == (UsedRetries(failures=1, indexes="0-1"),)
