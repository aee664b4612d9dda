"""What a BatchExecution does next, from what is observed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Decision, Key, Observed, condition_of, is_true
from lykeion.platform.controllers.batch_controller import reconcile_batch_execution
from lykeion.platform.lookups import FoundModel, ModelVersion
from lykeion.platform.resources.plain_kinds.index_ranges import to_ranges
from lykeion.platform.resources.plain_kinds.work import FailedAttempt, WorkStatus
from lykeion.platform.resources.runs.artifacts import KeptOutput
from lykeion.platform.resources.runs.schedule import Schedule

from .acting import Acting
from .batches import batch

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _decide(resource: Any, status: WorkStatus | None = None, *, now: datetime = NOON, **read: Any) -> Decision:
    """``status`` is that of the work which an earlier decision made."""
    children: tuple[Any, ...] = ()
    if status is not None:
        (work,) = reconcile_batch_execution(resource, Observed((), read.get("read", {})), now).children or ()
        children = (work.with_status(status),)
    return reconcile_batch_execution(resource, Observed(children, **read), now)


def _finished(**spec: Any) -> Any:
    resource = batch(3, **spec)
    return resource.with_status(_decide(resource, WorkStatus(succeeded="0,2", failed="1")).status)


def test_its_shards_run_as_one_work_that_knows_them() -> None:
    decision = _decide(batch(16, parallelism=4, retries=2, shard_time_limit_seconds=60))
    (work,) = decision.children or ()
    assert (work.spec.completions, work.spec.parallelism, work.spec.retries) == (16, 4, 2)
    assert work.spec.time_limit_seconds == 60
    assert {each.name: each.value for each in work.spec.program.env} == {
        "LYKEION_SHARD": "$(LYKEION_VALUE)",
        "LYKEION_SHARD_INDEX": "$(JOB_COMPLETION_INDEX)",
        "LYKEION_SHARD_COUNT": "16",
    }
    assert work.owner is not None
    assert decision.status.start_time == NOON
    assert [event.reason for event in decision.events] == ["Started"]


def test_the_same_state_makes_the_same_child_however_often_it_is_asked() -> None:
    resource = batch()
    first, again = _decide(resource), _decide(resource, now=NOON + timedelta(hours=1))
    assert first.children == again.children
    other = replace(resource, metadata=structs.replace(resource.metadata, uid="another"))
    assert _decide(other).children != first.children


def test_it_is_complete_when_all_shards_have_succeeded() -> None:
    decision = _decide(batch(3), WorkStatus(succeeded="0-2"))
    assert is_true(decision.status.conditions, "Complete")
    assert decision.status.completion_time == NOON
    assert decision.status.progress == "3/3"


def test_it_fails_as_soon_as_too_many_shards_have_failed_and_ends_what_runs() -> None:
    last = FailedAttempt(index=1, attempt=0, reason="ExitCode", message="no such photo", exit_code=1)
    decision = _decide(batch(3), WorkStatus(active="2", succeeded="0", failed="1", failures=(last,)))
    failed = condition_of(decision.status.conditions, "Failed")
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", "ShardsFailed")
    assert "shard 1" in failed.message
    assert "no such photo" in failed.message
    assert [work.spec.stop for work in decision.children or ()] == [True]


def test_some_shards_may_fail_where_the_spec_says_so_and_the_rest_is_run_all_the_same() -> None:
    tolerant = batch(3, min_succeeded=2)
    going_on = _decide(tolerant, WorkStatus(active="2", succeeded="0", failed="1"))
    assert going_on.status.completion_time is None
    assert is_true(_decide(tolerant, WorkStatus(succeeded="0,2", failed="1")).status.conditions, "Complete")
    assert is_true(_decide(tolerant, WorkStatus(succeeded="0", failed="1-2")).status.conditions, "Failed")


def test_at_its_deadline_it_fails_and_before_it_asks_to_be_looked_at_then() -> None:
    resource = batch(3, deadline_seconds=60)
    decision = _decide(resource, WorkStatus(active="0"))
    assert decision.requeue_after_s == 60
    resource = resource.with_status(decision.status)
    ended = _decide(resource, WorkStatus(active="0"), now=NOON + timedelta(seconds=60))
    failed = condition_of(ended.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "DeadlineExceeded"
    assert [work.spec.stop for work in ended.children or ()] == [True]


def test_suspending_is_handed_on_and_reported_when_nothing_runs_any_more() -> None:
    resource = batch(3, suspend=True)
    stopping = _decide(resource, WorkStatus(active="0"))
    assert [work.spec.suspend for work in stopping.children or ()] == [True]
    assert not is_true(stopping.status.conditions, "Suspended")
    assert is_true(_decide(resource, WorkStatus()).status.conditions, "Suspended")


@given(st.sets(st.integers(0, 2)), st.sets(st.integers(0, 2)), st.booleans())
def test_what_has_finished_stays_so_whatever_is_observed(done: set[int], failed: set[int], there: bool) -> None:
    resource = _finished()
    status = WorkStatus(succeeded=to_ranges(done), failed=to_ranges(failed)) if there else None
    children = ()
    if status is not None:
        (work,) = _decide(batch(3)).children or ()
        children = (work.with_status(status),)
    decision = reconcile_batch_execution(resource, Observed(children), NOON + timedelta(days=9))
    assert decision == Decision(resource.status)


def test_it_is_deleted_when_its_time_to_live_is_over() -> None:
    resource = _finished(ttl_seconds_after_finished=60)
    assert not _decide(resource).delete
    assert _decide(resource).requeue_after_s == 60
    assert _decide(resource, now=NOON + timedelta(seconds=60)).delete
    assert not _decide(_finished(), now=NOON + timedelta(days=900)).delete


EARLIER = Key("BatchExecution", "default", "first")


def test_a_retry_runs_only_what_the_earlier_one_has_not_done() -> None:
    retry = batch(3, retry_of="first")
    assert _decide(retry).reads == (EARLIER,)
    decision = _decide(retry, read={EARLIER: _finished()})
    assert [work.spec.done for work in decision.children or ()] == ["0,2"]
    begun = retry.with_status(decision.status)
    later = reconcile_batch_execution(begun, Observed(decision.children or ()), NOON)
    assert later.reads == ()  # the earlier one may be deleted now
    assert later.children == decision.children


@pytest.mark.parametrize(
    ("earlier", "message"),
    [(None, "not there"), (batch(3), "has not finished"), (_finished(), "has other shards")],
    ids=["missing", "running", "other"],
)
def test_a_retry_of_what_cannot_be_retried_fails_and_runs_nothing(earlier: Any, message: str) -> None:
    shards = 4 if message == "has other shards" else 3
    decision = _decide(batch(shards, retry_of="first"), read={EARLIER: earlier})
    failed = condition_of(decision.status.conditions, "Failed")
    assert failed is not None
    assert message in failed.message
    assert decision.children == ()


def _with_outputs(**spec: Any) -> Acting:
    made = batch(3, outputs=(KeptOutput(name="index", publish="shop:current"),), **spec)
    made = replace(made, metadata=structs.replace(made.metadata, uid="u1"))
    kept = ModelVersion("batches/default/embed/index:run-u1")
    return Acting(reconcile_batch_execution, made, {kept: FoundModel("index@sha256:aa", "sha256:aa")})


def test_what_its_shards_wrote_is_kept_as_one_and_published_before_it_is_complete() -> None:
    acting = _with_outputs()
    acting.decide()
    (work,) = acting.works()
    assert [mount.variable for mount in work.spec.mounts] == ["LYKEION_OUTPUTS"]
    acting.fares(work, "Complete", succeeded="0-2")
    acting.decide()
    assert not is_true(acting.resource.status.conditions, "Complete")
    acting.fares(acting.works("push")[0], "Complete")
    acting.decide()
    acting.fares(acting.works("copy")[0], "Complete")
    acting.decide()
    assert is_true(acting.resource.status.conditions, "Complete")
    assert acting.resource.status.outputs == {"index": "index@sha256:aa"}


def test_good_shards_of_a_failed_batch_are_kept_and_a_retry_adds_to_them() -> None:
    acting = _with_outputs()
    acting.decide()
    acting.fares(acting.works()[0], "Failed", succeeded="0,2", failed="1")
    acting.decide()
    acting.fares(acting.works("push")[0], "Complete")
    acting.decide()
    assert is_true(acting.resource.status.conditions, "Failed")
    assert acting.works("copy") == []
    retry = _with_outputs(retry_of="first")
    retry.answers = {EARLIER: acting.resource}
    retry.decide()
    (pull,) = retry.works()
    assert pull.spec.program.args[:3] == ("pull", "index@sha256:aa", "$(LYKEION_OUTPUTS)/index")
    retry.fares(pull, "Complete")
    retry.decide()
    (work,) = [each for each in retry.works() if each.spec.completions == 3]
    assert work.spec.done == "0,2"


def test_with_a_schedule_it_creates_others_and_does_not_run_itself() -> None:
    made = batch(3, schedule=Schedule(cron="0 * * * *"))
    created = structs.replace(made.metadata, uid="u1", creation_timestamp=NOON)
    acting = Acting(reconcile_batch_execution, replace(made, metadata=created))
    acting.decide(NOON + timedelta(hours=1))
    (run,) = acting.children.values()
    assert run.kind.name == "BatchExecution"
    assert run.spec.schedule is None
    assert acting.resource.status.runs == (run.metadata.name,)
    assert acting.resource.status.start_time is None
