"""Works on a real API server with its real controllers and scheduler, by their translation to Jobs."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import condition_of, is_true
from lykeion.images import build_volume
from lykeion.oci import Layout
from lykeion.platform.kubernetes.installing.operator_manifests import NAMESPACE
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.work import Role, WorkStatus
from lykeion.platform.resources.programs.failure_rule import FailureRule
from lykeion.platform.resources.programs.pod_template import PodTemplate, PodVolume
from lykeion.platform.resources.programs.program import Program, Requests
from lykeion.platform.resources.programs.program_volume import VolumeMount
from lykeion.platform.resources.runs.batch_execution import for_each_item
from lykeion.platform.resources.settings.cluster_profile import ClusterProfileSpec, StorageProfile
from tests.platform.kubernetes.work_samples import FACTS, SAMPLES, sample

from .cluster_controllers import operator_account
from .kubernetes_cluster import Cluster, kubernetes_cluster
from .process_node.handle import process_node
from .translated_works import IMAGE, USER, ClusterWork, keeps, work


def _run(cluster: Cluster, namespace: str, wanted: Any, facts: ClusterFacts | None = None) -> ClusterWork:
    return ClusterWork(cluster, namespace, wanted, facts or ClusterFacts()).create()


def _program(script: str, items: int = 0) -> Program:
    pod = PodTemplate(run_as_user=USER)
    program = Program(command=("sh", "-c", script), image=IMAGE, pod=pod)
    return for_each_item(program, items) if items else program


def _ended(status: WorkStatus) -> bool:
    return is_true(status.conditions, "Complete") or is_true(status.conditions, "Failed")


def test_each_index_runs_once_and_the_result_of_the_first_is_known(cluster: Cluster, namespace: str) -> None:
    script = (
        'test "$(cat $LYKEION_SHARD_FILE)" = $LYKEION_SHARD_INDEX && echo is-$LYKEION_SHARD_INDEX > $LYKEION_RESULT'
    )
    made = _run(cluster, namespace, work("", program=_program(script, 3), completions=3, parallelism=2))
    status = made.wait(_ended)
    assert is_true(status.conditions, "Complete")
    assert (status.attempts, status.succeeded, status.failed, status.active) == (3, "0-2", "", "")
    assert status.result == "is-0\n"


def test_items_are_in_the_file_of_the_shard_as_they_are(cluster: Cluster, namespace: str) -> None:
    items = ("red $HOME", "$(HOME)\ngreen", "")
    script = 'cat $LYKEION_SHARD_FILE > /tmp/it; cp /tmp/it $LYKEION_RESULT; test "$LYKEION_SHARD_COUNT" = 3'
    made = _run(cluster, namespace, work("", program=_program(script, 3), completions=3, values=items))
    status = made.wait(_ended)
    assert is_true(status.conditions, "Complete"), status
    assert status.result == "red $HOME"


def test_an_index_is_tried_again_alone_and_its_failure_says_the_last_line(cluster: Cluster, namespace: str) -> None:
    script = "test $JOB_COMPLETION_INDEX = 1 || exit 0; echo first; echo no photo; exit 7"
    made = _run(cluster, namespace, work("", program=_program(script), completions=3, parallelism=3, retries=1))
    status = made.wait(_ended)
    assert is_true(status.conditions, "Failed")
    assert (status.attempts, status.succeeded, status.failed) == (4, "0,2", "1")
    assert [(each.index, each.attempt, each.words()) for each in status.failures] == [
        (1, 0, "exit code 7: no photo"),
        (1, 1, "exit code 7: no photo"),
    ]


def test_rules_decide_what_follows_from_an_exit_code(cluster: Cluster, namespace: str) -> None:
    rules = (FailureRule(action="Fail", exit_codes=(3,)),)
    script = "test $JOB_COMPLETION_INDEX = 0 && exit 3; exit 0"
    made = _run(cluster, namespace, work("", program=_program(script), completions=2, retries=5, on_failure=rules))
    status = made.wait(_ended)
    assert (status.attempts, status.succeeded, status.failed) == (2, "1", "0")


def test_shards_that_are_done_are_not_run_again(cluster: Cluster, namespace: str) -> None:
    script = "echo $LYKEION_SHARD_INDEX > $LYKEION_RESULT; test $LYKEION_SHARD_INDEX = 1"
    made = _run(cluster, namespace, work("", program=_program(script, 4), completions=4, parallelism=4, done="0,2-3"))
    status = made.wait(_ended)
    assert is_true(status.conditions, "Complete")
    assert (status.attempts, status.succeeded) == (1, "0-3")


def test_what_is_suspended_counts_as_no_failure_and_goes_on(cluster: Cluster, namespace: str) -> None:
    script = "test $JOB_COMPLETION_INDEX = 0 && exit 0; trap 'exit 0' TERM; sleep 600 & wait"
    made = _run(cluster, namespace, work("", program=_program(script), completions=2, parallelism=2))
    made.wait(lambda status: status.succeeded == "0" and status.active == "1")
    made.change(suspend=True)
    status = made.wait(lambda status: not status.active)
    assert (status.succeeded, status.failed, status.failures) == ("0", "", ())
    assert not _ended(status)
    made.change(suspend=False)
    status = made.wait(lambda status: status.active == "1")
    assert (status.succeeded, status.failed, status.attempts) == ("0", "", 3)
    made.change(stop=True)
    status = made.wait(lambda status: not status.active)
    assert status.succeeded == "0"


def test_a_pod_that_is_evicted_is_tried_again_without_counting_it(cluster: Cluster, namespace: str) -> None:
    made = _run(cluster, namespace, work("", program=_program("sleep 600"), completions=1))
    made.wait(lambda status: status.active == "0")
    pod = next(each for each in made.objects() if each["kind"] == "Pod")
    cluster.api.evict(pod["metadata"]["name"], namespace)
    status = made.wait(lambda status: status.attempts == 2 and status.active)
    assert [(each.attempt, each.reason) for each in status.failures] == [(0, "Evicted")]
    assert not status.failed


def test_what_ran_on_a_node_that_is_gone_runs_on_another(tmp_path: Path) -> None:
    """The node's machine ends, and the cloud deletes the node, as its controller does."""
    with kubernetes_cluster(tmp_path / "c") as cluster, process_node(cluster, "first") as first:
        namespace = cluster.namespace("lost")
        made = _run(cluster, namespace, work("", program=_program("sleep 600")))
        made.wait(lambda status: status.active == "0")
        with process_node(cluster, "second"):
            first.kill()
            cluster.api.delete("Node", "first")
            status = made.wait(lambda status: status.attempts == 2 and status.active == "0", seconds=120)
            assert not status.failed
            assert [each.reason for each in status.failures] in ([], ["Lost"])
            pods = cluster.api.items("Pod", namespace)
            assert "second" in [each["spec"].get("nodeName") for each in pods]


def test_an_attempt_ends_at_its_time_limit(cluster: Cluster, namespace: str) -> None:
    made = _run(cluster, namespace, work("", program=_program("sleep 600"), time_limit_seconds=1))
    status = made.wait(_ended)
    assert [each.reason for each in status.failures] == ["TimeLimit"]


@pytest.mark.parametrize("asked", SAMPLES.values(), ids=list(SAMPLES))
def test_the_server_accepts_every_document_and_keeps_each_field(cluster: Cluster, namespace: str, asked: Any) -> None:
    for document in WORKS.objects(sample(asked, namespace), FACTS):
        sent = json.loads(json.dumps({**document, "metadata": {"namespace": namespace, **document["metadata"]}}))
        assert lacking(sent, cluster.api.create_dry(sent)) == []


def lacking(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Where ``kept`` does not have what was sent."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [each for name, value in sent.items() for each in lacking(value, kept.get(name), f"{path}.{name}")]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [
            each for n, (a, b) in enumerate(zip(sent, kept, strict=True)) for each in lacking(a, b, f"{path}[{n}]")
        ]
    return [] if sent == kept or (sent in ({}, "", 0) and kept is None) else [f"{path}: {sent!r}, not {kept!r}"]


SHARED = ClusterFacts(profile=ClusterProfileSpec(storage=StorageProfile(shared=True)))


def test_processes_that_know_one_another_start_again_all_together(cluster: Cluster, namespace: str) -> None:
    """The second fails in the first attempt: each process of it ends, and the next attempt begins."""
    script = "\n".join(
        [
            'test "$LYKEION_RUN" -a "$RANK" = "$LYKEION_ROLE_INDEX" || exit 9',
            "echo $RANK >> $LYKEION_RUN/began",
            "if ! test -e $LYKEION_RUN/again; then",
            "  test $RANK = 1 || exec sleep 600",
            "  while test $(wc -l < $LYKEION_RUN/began) -lt 2; do sleep 0.05; done",
            "  touch $LYKEION_RUN/again; echo broken; exit 4",
            "fi",
            "echo $WORLD_SIZE $MASTER_ADDR > $LYKEION_RESULT",
        ]
    )
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "run", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.api.create(claim)
    wanted = work(
        "",
        program=_program(script),
        completions=2,
        parallelism=2,
        retries=1,
        roles=(Role(name="worker", replicas=2),),
        mounts=(VolumeMount(volume="run", variable="LYKEION_RUN"),),
    )
    made = _run(cluster, namespace, wanted, SHARED)
    status = made.wait(_ended)
    assert is_true(status.conditions, "Complete"), status
    assert (status.attempts, status.succeeded) == (2, "0-1")
    assert [each.words() for each in status.failures] == ["exit code 4: broken"]
    assert status.result == "2 embed-0.peers-embed\n"


ABSENT = PodVolume(name="key", mount_path="/key", secret="absent")


@pytest.mark.parametrize(
    ("program", "reason", "words"),
    [
        (Program(command=("true",), resources=Requests(cpu=1000)), "NoRoom", "no node takes it"),
        (Program(command=("true",), pod=PodTemplate(volumes=(ABSENT,))), "NotMounted", '"absent" not found'),
    ],
)
def test_what_waits_says_why(cluster: Cluster, namespace: str, program: Program, reason: str, words: str) -> None:
    program = structs.replace(program, image="host.local/x")
    made = _run(cluster, namespace, work("", program=program))
    status = made.wait(lambda status: is_true(status.conditions, "Unschedulable"))
    found = condition_of(status.conditions, "Unschedulable")
    assert found
    assert found.reason == reason
    assert words in found.message
    assert status.attempts == 0


def test_a_program_reads_the_files_of_an_image_where_the_server_keeps_such_volumes(
    tmp_path: Path, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(operator_account(cluster)))
    facts = ClusterFacts(image_volumes=keeps(NAMESPACE))
    assert facts.image_volumes
    assert cluster.api.items("Job", NAMESPACE) == [], "it was only asked"
    (tmp_path / "weights").write_text("of shoes")
    build_volume(tmp_path, Layout.open(cluster.place / "images", create=True), "shoes-files:1")
    volume = PodVolume(name="model", mount_path="/model", image="layout.local/shoes-files:1")
    pod = PodTemplate(run_as_user=USER, volumes=(volume,))
    script = "cat /model/weights > $LYKEION_RESULT; ! touch /model/new"
    program = Program(command=("sh", "-c", script), image=IMAGE, pod=pod)
    status = _run(cluster, namespace, work("", program=program), facts).wait(_ended)
    assert is_true(status.conditions, "Complete"), status
    assert status.result == "of shoes"


def test_a_queue_that_takes_a_job_back_does_not_give_it_its_retries_again(cluster: Cluster, namespace: str) -> None:
    """The queue is this test: Kueue suspends a Job of its own accord, and resumes it when there is room."""
    pod = PodTemplate(run_as_user=USER, queue_name="night")
    script = "test $JOB_COMPLETION_INDEX = 1 && exec sleep 600; echo broken; exit 7"
    program = Program(command=("sh", "-c", script), image=IMAGE, pod=pod)
    made = _run(cluster, namespace, work("", program=program, completions=2, parallelism=2, retries=1))

    def admit(asked: bool) -> None:
        cluster.api.patch("Job", "embed", namespace, {"spec": {"suspend": not asked}})

    admit(True)
    made.wait(lambda status: status.used and status.active == "1")
    admit(False)
    made.wait(lambda status: status.used and not status.active)
    job = cluster.api.wait("Job", "embed", namespace, lambda it: it["spec"]["backoffLimitPerIndex"] == 0)
    made.wait(lambda _: _queued(cluster, namespace))
    assert job["spec"]["suspend"]
    admit(True)
    status = made.wait(lambda status: status.failed == "0")
    assert [(each.index, each.attempt) for each in status.failures] == [(0, 0), (0, 1)]
    assert status.active == "1"


def _queued(cluster: Cluster, namespace: str) -> bool:
    return "kueue.x-k8s.io/queue-name" in cluster.api.get("Job", "embed", namespace)["metadata"]["labels"]
