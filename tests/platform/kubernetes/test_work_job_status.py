"""The status of a Work, from its Job and pods as Kubernetes has them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import ResourceError, condition_of, is_true
from lykeion.platform.kubernetes.objects.translation import written_annotations
from lykeion.platform.kubernetes.pods.pod_spec import QUEUE_LABEL
from lykeion.platform.kubernetes.works.work_record import RECORD
from lykeion.platform.kubernetes.works.work_status import work_status
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.index_ranges import to_ranges
from lykeion.platform.resources.plain_kinds.work import Role, WorkStatus
from lykeion.platform.resources.programs.failure_rule import FailureRule
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import Program

from .job_documents import FACTS, NOON, RUNNING, ended, job, pod, stored, true, waiting, work


def _status(wanted: Any, *others: dict[str, Any], **status: Any) -> WorkStatus:
    found: WorkStatus = WORKS.resource_of(job(wanted, **status), others).status
    return found


ROOT = 'container has runAsNonRoot and image will run as root (pod: "embed-0-x_shop(1)", container: program)'
NAMED = (
    "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root "
    '(pod: "embed-0-x_shop(1)", container: program)'
)
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("document", "reason", "words"),
    [
        (
            pod(state=waiting("ImagePullBackOff", 'Back-off pulling image "shop:v1": not found')),
            "ImageNotPulled",
            'the image shop:v1 cannot be pulled: Back-off pulling image "shop:v1": not found',
        ),
        (pod(state=waiting("ErrImageNeverPull")), "ImageNotPulled", "shop:v1 cannot be pulled: ErrImageNeverPull"),
        (
            pod(state=waiting("CreateContainerConfigError", 'secret "shop" not found')),
            "NoValue",
            'secret "shop" not found',
        ),
        (
            pod(state=waiting("CreateContainerConfigError", ROOT)),
            "RunsAsRoot",
            "the image shop:v1 would run as root: set pod.runAsUser to a number other than 0",
        ),
        (
            pod(state=waiting("CreateContainerConfigError", NAMED)),
            "RunsAsRoot",
            "the image shop:v1 names its user app, and not by a number: set pod.runAsUser",
        ),
        (
            pod(state=waiting("CreateContainerError", "no such directory")),
            "CannotStart",
            "the program cannot be started: no such directory",
        ),
        (
            pod(conditions=[{**UNSCHEDULABLE, "message": "0/3 nodes are available: 3 Insufficient cpu."}]),
            "NoRoom",
            "no node takes it: 0/3 nodes are available: 3 Insufficient cpu.",
        ),
        (
            pod(conditions=[{**UNSCHEDULABLE, "message": 'persistentvolumeclaim "run" not found. not found'}]),
            "NoVolume",
            "there is no volume run",
        ),
        (
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": "e", "resourceVersion": "2"},
                "reason": "FailedCreate",
                "eventTime": NOON,
                "note": 'Error creating: pods "embed-0-x" is forbidden: exceeded quota: small, requested: cpu=1',
            },
            "Quota",
            "no pod can be created: Error creating: pods",
        ),
    ],
)
def test_what_hinders_a_pod_is_said_in_plain_words(document: dict[str, Any], reason: str, words: str) -> None:
    status = _status(work(), document)
    found = condition_of(status.conditions, "Unschedulable")
    assert found
    assert (found.status, found.reason) == ("True", reason)
    assert words in found.message
    assert (status.attempts, status.active) == (0, "")
    running = pod(1, "Running", state=RUNNING)
    assert not is_true(_status(work(2), document, running).conditions, "Unschedulable")


def _unmounted(about: dict[str, Any], note: str, at: str = NOON) -> dict[str, Any]:
    regarding = {"kind": "Pod", "name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    metadata = {"name": f"e{at}{len(note)}", "resourceVersion": "2"}
    event = {"kind": "Event", "metadata": metadata, "reason": "FailedMount", "regarding": regarding}
    return {**event, "apiVersion": "events.k8s.io/v1", "note": note, "eventTime": at}


def test_what_cannot_be_mounted_is_said_with_the_cause_until_it_is() -> None:
    starting = pod(state=waiting("ContainerCreating"))
    cause = 'MountVolume.SetUp failed for volume "own-key" : secret "key" not found'
    late = "Unable to attach or mount volumes: unmounted volumes=[own-key]: timed out waiting for the condition"
    events = [_unmounted(starting, cause), _unmounted(starting, late, "2026-11-01T12:02:00Z")]
    found = condition_of(_status(work(), starting, *events).conditions, "Unschedulable")
    assert found
    assert (found.status, found.reason, found.message) == (
        "True",
        "NotMounted",
        f"a volume cannot be mounted: {cause}",
    )
    mounted = pod(state=waiting("ContainerCreating"), conditions=[true("PodReadyToStartContainers")])
    other = pod(1, state=waiting("ContainerCreating"))
    for there in (mounted, other, pod(0, "Running", state=RUNNING)):
        assert not is_true(_status(work(2), there, *events).conditions, "Unschedulable")


def test_a_pod_that_is_being_started_hinders_nothing() -> None:
    for state in (waiting("ContainerCreating"), None):
        assert not is_true(_status(work(), pod(state=state)).conditions, "Unschedulable")


DISRUPTED = "DisruptionTarget"


@pytest.mark.parametrize(
    ("document", "reason", "code", "words"),
    [
        (pod(0, "Failed", state=ended(3, message="a\nno photo\n\n")), "ExitCode", 3, "exit code 3: no photo"),
        (pod(0, "Failed", state=ended(137, "OOMKilled")), "OOMKilled", 137, "OOMKilled"),
        (
            pod(0, "Failed", state=ended(128, "StartError", "no such file")),
            "CannotStart",
            128,
            "CannotStart: no such file",
        ),
        (pod(0, "Failed", reason="DeadlineExceeded", message="too long"), "TimeLimit", None, "TimeLimit: too long"),
        (
            pod(0, "Failed", state=ended(143), conditions=[true(DISRUPTED, "PreemptionByScheduler")]),
            "Evicted",
            143,
            "Evicted",
        ),
        (pod(0, "Failed", reason="Evicted", message="disk pressure"), "Evicted", None, "Evicted: disk pressure"),
        (pod(0, "Failed", conditions=[true(DISRUPTED, "DeletionByTaintManager")]), "Lost", None, "Lost"),
        (pod(0, "Failed", conditions=[true(DISRUPTED, "DeletionByPodGC")], deleted=True), "Lost", None, "Lost"),
    ],
)
def test_a_failed_pod_has_a_reason_that_rules_name(document: Any, reason: str, code: int | None, words: str) -> None:
    (failure,) = _status(work(), document).failures
    assert (failure.reason, failure.exit_code, failure.words()) == (reason, code, words)


def test_a_pod_that_was_stopped_is_no_failure() -> None:
    assert _status(work(), pod(0, "Failed", state=ended(143), deleted=True)).failures == ()


def test_what_programs_say_is_bounded() -> None:
    long = "x" * 100_000
    failed = pod(0, "Failed", state=ended(1, message=f"{long}\n"))
    hindered = pod(0, conditions=[{**UNSCHEDULABLE, "message": long}])
    done = pod(0, "Succeeded", state=ended(0, message=long))
    assert len(_status(work(), failed).failures[0].message) == 400
    assert max(len(each.message) for each in _status(work(), hindered).conditions) == 1024
    assert len(_status(work(), done, completedIndexes="0").result) == 4096


def test_the_end_is_that_of_the_job() -> None:
    status = _status(work(3), completedIndexes="0,2", failedIndexes="1", conditions=[true("Failed", "FailedIndexes")])
    assert [(each.type, each.message) for each in status.conditions if each.status == "True"] == [
        ("Failed", "2 of 3")
    ]
    status = _status(work(2), completedIndexes="0-1", conditions=[true("SuccessCriteriaMet"), true("Complete")])
    assert [(each.type, each.message) for each in status.conditions if each.status == "True"] == [
        ("Complete", "2 of 2")
    ]
    assert not [
        each for each in _status(work(), conditions=[true("FailureTarget")]).conditions if each.status == "True"
    ]


def test_an_annotation_that_another_has_changed_is_an_error_that_names_it() -> None:
    made = job(work())
    for text in ("{", '{"attempts": "many"}', '["x"]'):
        made["metadata"]["annotations"][RECORD] = text
        with pytest.raises(ResourceError, match=f"job/embed: its annotation {RECORD} is not"):
            WORKS.resource_of(made, ())


OUTCOMES = st.lists(st.sampled_from(["failed", "evicted"]), max_size=4)


@given(
    st.lists(st.tuples(OUTCOMES, st.sampled_from(["done", "given up", "runs", "waits"])), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_history_of_pods_gives_its_ranges(histories: list[tuple[list[str], str]], collected: bool) -> None:
    """``collected``: the pods of indexes that are done were removed, as a cluster does in the end."""
    pods: list[dict[str, Any]] = []
    begun = 0
    for index, (before, now) in enumerate(histories):
        for position, outcome in enumerate(before):
            counts = {"number": before[:position].count("failed"), "ignored": before[:position].count("evicted")}
            gone = [true(DISRUPTED, "EvictionByEvictionAPI")] if outcome == "evicted" else []
            pods.append(pod(index, "Failed", state=ended(1), conditions=gone, **counts))
        counts = {"number": before.count("failed"), "ignored": before.count("evicted")}
        if now == "runs":
            pods.append(pod(index, "Running", state=RUNNING, **counts))
        if now == "done" and not collected:
            pods.append(pod(index, "Succeeded", state=ended(0, message=f"r{index}"), **counts))
        if now == "waits":
            pods.append(pod(index, **counts))
        begun += (
            max(len(before), now == "done")
            if collected and now == "done"
            else len(before) + (now in ("runs", "done"))
        )
    having = {
        state: [index for index, (_, now) in enumerate(histories) if now == state]
        for state in ("done", "given up", "runs")
    }
    status = _status(
        work(len(histories)),
        *pods,
        completedIndexes=to_ranges(having["done"]),
        failedIndexes=to_ranges(having["given up"]),
    )
    assert status.succeeded == to_ranges(having["done"])
    assert status.failed == to_ranges(having["given up"])
    assert status.active == to_ranges(having["runs"])
    assert len(status.failures) == min(10, sum(len(before) for before, _ in histories))
    assert status.attempts == begun if not collected else status.attempts >= len(having["done"])
    if not collected:
        assert status.result == ("r0" if histories[0][1] == "done" else "")


@given(st.lists(st.sets(st.integers(0, 9)), max_size=4))
def test_what_was_done_outlives_each_job_that_takes_the_place_of_another(rounds: list[set[int]]) -> None:
    """A Work in a queue is suspended and resumed any number of times, and has done some more each time."""
    queued = Program(command=("true",), pod=PodTemplate(queue_name="night"))
    wanted, done, attempts = work(10, parallelism=10, program=queued), set[int](), 0
    there = job(wanted)
    for number, more in enumerate(rounds):
        fresh = more - done
        done |= more
        attempts += len(fresh)
        there["status"] = {"completedIndexes": to_ranges(done)}
        pods = [pod(index, "Succeeded", state=ended(), uid=f"job-{number + 1}") for index in fresh]
        suspended = replace(wanted, spec=structs.replace(wanted.spec, suspend=True))
        _, deleted, created, _ = WORKS.changes((there, *pods), suspended, FACTS)
        assert (deleted.verb, deleted.document["metadata"]["uid"]) == ("delete", there["metadata"]["uid"])
        assert created.document["spec"]["suspend"] is True
        there = {**stored(created.document, f"job-{number + 2}"), "status": {}}
        seen: WorkStatus = WORKS.resource_of(there, pods).status
        assert (seen.succeeded, seen.attempts) == (to_ranges(done), attempts)
        changes = WORKS.changes((there, *pods), wanted, FACTS)
        if done:
            assert (changes[0].subresource, changes[0].document["status"]["completedIndexes"]) == (
                "status",
                seen.succeeded,
            )
        assert "suspend" not in changes[-1].document["spec"]
        assert changes[-1].document["metadata"]["labels"] == {QUEUE_LABEL: "night"}
        there["metadata"]["annotations"] |= changes[-1].document["metadata"]["annotations"]


def test_what_is_stopped_when_a_job_is_suspended_is_an_attempt_and_nothing_else() -> None:
    wanted = work(3, parallelism=3, done="0")
    there = job(wanted, completedIndexes="0-1")
    pods = [pod(1, "Succeeded", state=ended()), pod(2, "Running", state=RUNNING)]
    there["metadata"]["annotations"] |= written_annotations(wanted)
    suspended = replace(wanted, spec=structs.replace(wanted.spec, suspend=True))
    (change,) = WORKS.changes((there, *pods), suspended, FACTS)
    assert (change.verb, change.document["spec"]) == ("merge", {"suspend": True})
    there["metadata"]["annotations"] |= change.document["metadata"]["annotations"]
    seen: WorkStatus = WORKS.resource_of(there, pods[:1]).status
    assert (seen.attempts, seen.succeeded, seen.failures) == (2, "0-1", ())
    (change,) = WORKS.changes((there, pods[0]), wanted, FACTS)
    assert (change.subresource, change.document["spec"]["suspend"]) == ("", False)


def test_nothing_is_resumed_while_what_was_stopped_still_runs() -> None:
    wanted = work(2)
    suspended = replace(wanted, spec=structs.replace(wanted.spec, suspend=True))
    there = job(suspended)
    assert WORKS.changes((there, pod(0, "Running", state=RUNNING, deleted=True)), wanted, FACTS) == ()
    assert WORKS.changes((there, pod(0, "Failed", state=ended(143), deleted=True)), wanted, FACTS)


GANG = work(2, parallelism=2, roles=(Role(name="worker", replicas=2),), retries=1)
FAILED = {"conditions": [true("FailureTarget"), true("Failed", "BackoffLimitExceeded")]}


def _gang_round(wanted: Any, there: dict[str, Any], code: int) -> tuple[Any, dict[str, Any]]:
    """The Work after an attempt in which the second process failed, and the Job of the next attempt, if any."""
    uid = there["metadata"]["uid"]
    pods = [
        pod(1, "Failed", uid=uid, state=ended(code, message="broken", at="2026-11-01T12:00:01Z")),
        pod(0, "Failed", uid=uid, state=ended(143, at="2026-11-01T12:00:02Z")),
    ]
    there = {**there, "status": FAILED}
    seen = WORKS.resource_of(there, pods)
    changes = WORKS.changes((there, *pods), wanted, FACTS)
    created = [each.document for each in changes if each.verb == "create"]
    return seen, {**stored(created[-1], f"{uid}+"), "status": {}} if created else {}


def test_processes_that_run_all_at_once_are_begun_again_while_retries_are_left() -> None:
    seen, second = _gang_round(GANG, job(GANG), 4)
    assert seen.spec.suspend, "so that its controller applies it"
    assert (seen.status.attempts, seen.status.failed) == (1, "")
    assert [(each.index, each.attempt, each.words()) for each in seen.status.failures] == [
        (1, 0, "exit code 4: broken")
    ]
    seen, third = _gang_round(GANG, second, 5)
    assert not third
    assert (seen.status.attempts, seen.status.failed) == (2, "0-1")
    assert [each.exit_code for each in seen.status.failures] == [4, 5]
    assert is_true(seen.status.conditions, "Failed")


@pytest.mark.parametrize(
    ("action", "again"), [("Fail", False), ("Ignore", True), ("Retry", True)], ids=["fail", "ignore", "retry"]
)
def test_rules_decide_for_all_of_them(action: Any, again: bool) -> None:
    rules = (FailureRule(action=action, exit_codes=(4,)),)
    wanted = replace(GANG, spec=structs.replace(GANG.spec, on_failure=rules))
    seen, after = _gang_round(wanted, job(wanted), 4)
    assert bool(after) is again
    assert is_true(seen.status.conditions, "Failed") is not again
    if again:
        counted = json.loads(after["metadata"]["annotations"][RECORD])["counted"]
        assert counted == (action == "Retry")


def _job_set(uid: str, *conditions: Any) -> dict[str, Any]:
    head = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "embed"}}
    return {**stored(head, uid), "status": {"conditions": list(conditions)}}


def _process(index: int, uid: str, phase: str, **fields: Any) -> dict[str, Any]:
    made = pod(0, phase, uid=f"job-{index}", **fields)
    made["metadata"]["name"] += str(index)
    own = {"jobset.sigs.k8s.io/job-global-index": str(index), "jobset.sigs.k8s.io/jobset-uid": uid}
    return {**made, "metadata": {**made["metadata"], "annotations": {**made["metadata"]["annotations"], **own}}}


def test_a_job_set_is_made_again_for_the_next_attempt_when_its_pods_have_ended() -> None:
    wanted = replace(GANG, spec=structs.replace(GANG.spec, roles=(Role(name="chief"), Role(name="worker"))))
    facts = replace(FACTS, served=frozenset({"jobset.x-k8s.io/v1alpha2"}))
    there, first = job(wanted, facts=facts), _job_set("set-1", true("Failed"))
    failed = _process(1, "set-1", "Failed", state=ended(4, message="broken"))
    running = _process(0, "set-1", "Running", state=RUNNING)
    seen = WORKS.resource_of(there, [first, failed, running])
    assert (seen.spec.suspend, seen.status.attempts, seen.status.active) == (True, 1, "0")
    noted, deleted = WORKS.changes((there, first, failed, running), wanted, facts)
    assert (deleted.verb, deleted.document["kind"], deleted.document["metadata"]["uid"]) == (
        "delete",
        "JobSet",
        "set-1",
    )
    there["metadata"]["annotations"] |= noted.document["metadata"]["annotations"]
    seen = WORKS.resource_of(there, [first, failed, running])
    assert (seen.status.attempts, len(seen.status.failures)) == (1, 1), (
        "counted once, though the JobSet is still there"
    )
    assert [each.verb for each in WORKS.changes((there, first, failed), wanted, facts)] == ["merge", "delete"]
    assert WORKS.changes((there, failed, running), wanted, facts) == ()
    created, noted = WORKS.changes((there, failed), wanted, facts)
    assert (created.verb, created.document["kind"]) == ("create", "JobSet")
    there["metadata"]["annotations"] |= noted.document["metadata"]["annotations"]
    good = [_process(each, "set-2", "Succeeded", state=ended()) for each in (0, 1)]
    seen = WORKS.resource_of(there, [_job_set("set-2", true("Completed")), *good, failed])
    assert (seen.status.attempts, seen.status.succeeded, len(seen.status.failures)) == (2, "0-1", 1)
    assert is_true(seen.status.conditions, "Complete")


def test_an_attempt_has_begun_when_all_of_them_have() -> None:
    hindered = pod(1, conditions=[{**UNSCHEDULABLE, "message": "0/1 nodes are available"}])
    status = _status(GANG, pod(0, "Running", state=RUNNING), hindered)
    assert (status.attempts, status.active) == (0, "0")
    assert is_true(status.conditions, "Unschedulable")
    status = _status(GANG, pod(0, "Running", state=RUNNING), pod(1, "Running", state=RUNNING))
    assert (status.attempts, status.active) == (1, "0-1")
    assert not is_true(status.conditions, "Unschedulable")


def test_an_eviction_of_one_of_them_is_not_counted() -> None:
    evicted = pod(1, "Failed", state=ended(143), conditions=[true(DISRUPTED, "EvictionByEvictionAPI")])
    wanted = replace(GANG, spec=structs.replace(GANG.spec, retries=0))
    there = {**job(wanted), "status": FAILED}
    assert WORKS.resource_of(there, [evicted]).spec.suspend
    assert work_status(wanted.spec, there, [evicted], ()).failed == ""
