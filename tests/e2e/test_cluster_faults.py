"""What befalls an operator: it is killed at its writes, loses its Lease, or its API server; nothing runs twice."""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from msgspec import structs

from lykeion.control import child_name
from lykeion.platform.policies.artifacts.artifact_work import PROGRAM
from lykeion.platform.resources.programs.program import Program as ProgramSpec
from lykeion.platform.resources.runs.training import TRAINING, TrainingSpec

from .cluster_objects import keep_trainings
from .cluster_operator import expire_lease, has_ended, short_operator, training
from .cluster_servings import wait_until
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster, Program, free_port, kubernetes_cluster
from .process_node.handle import process_node
from .troubled_api import TROUBLES

pytestmark = pytest.mark.slow
WRITES = 6
"""As many as the least of them has, events included."""
POINTS = [f"{when}-{number}" for number in range(1, WRITES + 1) for when in ("before", "after")]
ONCE = "echo ran >> $LYKEION_RUN/ran; test $(wc -l < $LYKEION_RUN/ran) = 1"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own: operators of other tests have another Lease, and its API server is killed."""
    with kubernetes_cluster(tmp_path_factory.mktemp("own") / "cluster") as made, process_node(made):
        yield made


def _ended_well(cluster: Cluster, namespace: str, kind: str = "Training") -> Object:
    ended = cluster.api.wait(kind, "shoes", namespace, has_ended)
    assert condition(ended, "Complete") == "True", ended["status"]
    assert ended["status"].get("attempts", 1) == 1
    return ended


def _created(cluster: Cluster, namespace: str, resource: str) -> int:
    """Creations that succeeded, by anybody."""
    return sum(
        each["verb"] == "create" and each["objectRef"].get("resource") == resource
        for each in cluster.audited()
        if each.get("objectRef", {}).get("namespace") == namespace and each["responseStatus"]["code"] < 300
    )


def _batch(namespace: str) -> Object:
    document = training(f"{ONE_EACH}", namespace)
    spec = {"program": document["spec"]["program"], "shards": {"count": 3}, "parallelism": 3}
    return {**document, "kind": "BatchExecution", "spec": spec}


def _run(namespace: str) -> Object:
    document = training("true", namespace)
    steps = [{"name": f"s{number}", "program": document["spec"]["program"]} for number in (1, 2)]
    steps[1]["needs"] = ["s1"]
    return {**document, "kind": "PipelineRun", "spec": {"steps": steps}}


ONE_EACH = "test $JOB_COMPLETION_INDEX -lt 3"
MADE: dict[str, tuple[Callable[[str], Object], int, int]] = {
    "training": (lambda namespace: training(ONCE, namespace), 1, 4),
    "batch": (_batch, 1, 3),
    "run": (_run, 2, 3),
}
"""What is made, how many Jobs that takes, and how many kills are tried."""
KILLS = [(kind, point) for kind, (_, _, count) in MADE.items() for point in random.Random(18).sample(POINTS, count)]


@pytest.mark.parametrize(("kind", "point"), KILLS)
def test_each_job_is_made_once_though_the_operator_is_killed_at_a_write(
    own: Cluster, tmp_path: Path, kind: str, point: str
) -> None:
    make, jobs, _ = MADE[kind]
    namespace = own.namespace(f"{kind}-{point}")
    document = own.api.create(make(namespace))
    with short_operator(own, tmp_path, "first", point) as first:
        assert first.wait() == -signal.SIGKILL
    with short_operator(own, tmp_path, "second"):
        _ended_well(own, namespace, document["kind"])
    assert _created(own, namespace, "jobs") == jobs
    assert _created(own, namespace, "persistentvolumeclaims") == (kind == "training")


def test_an_operator_that_is_asked_to_end_gives_its_lease_to_the_next(own: Cluster, tmp_path: Path) -> None:
    namespace = own.namespace("handed-over")
    with short_operator(own, tmp_path, "first") as first, short_operator(own, tmp_path, "second") as second:
        wait_until(lambda: first.metric("lykeion_leads") + second.metric("lykeion_leads") == 1)
        leader, other = (first, second) if first.metric("lykeion_leads") else (second, first)
        assert other.metric("lykeion_leads") == 0
        assert other.get("/readyz").text == "ok"
        leader.program.signal(signal.SIGTERM)
        assert leader.wait() == 0
        own.api.create(training(ONCE, namespace))
        _ended_well(own, namespace)
        assert other.metric("lykeion_leads") == 1


def test_an_operator_that_was_frozen_writes_nothing_and_ends_when_another_has_its_lease(
    own: Cluster, tmp_path: Path
) -> None:
    namespace = own.namespace("frozen")
    with short_operator(own, tmp_path, "frozen") as frozen:
        own.api.create(training("until test -e $LYKEION_RUN/go; do sleep 0.1; done", namespace, name="waits"))
        own.api.wait("Training", "waits", namespace, lambda it: condition(it, "Running") == "True")
        frozen.program.signal(signal.SIGSTOP)
        expire_lease(own)
        with short_operator(own, tmp_path, "next"):
            own.api.create(training(ONCE, namespace))
            _ended_well(own, namespace)
            frozen.program.signal(signal.SIGCONT)
            assert frozen.wait() == 1
            assert "lease/lykeion-operator in default is lost" in frozen.program.tail()
    assert _created(own, namespace, "jobs") == 2


def test_a_training_ends_though_the_api_server_was_away(own: Cluster, tmp_path: Path) -> None:
    namespace = own.namespace("away")
    with short_operator(own, tmp_path, "operator") as operator:
        own.api.create(training(f"sleep 2; {ONCE}", namespace))
        own.api.wait("Training", "shoes", namespace, lambda it: it.get("status", {}).get("attempts"))
        own.kill_api()
        own.start_api()
        wait_until(lambda: has_ended(own.api.get("Training", "shoes", namespace)) or not operator.program.runs)
        if not operator.program.runs:  # its Lease was lost meanwhile: as the kubelet does
            operator.start()
        _ended_well(own, namespace)
    assert _created(own, namespace, "jobs") == 1


@pytest.fixture
def troubled(own: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A kubeconfig of the cluster through a server that gives trouble."""
    port, root = free_port("127.0.0.1"), Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.e2e.troubled_api", str(own.kubeconfig), request.param, str(port)]
    program = Program("troubled", command, tmp_path / "troubled.log", {"PYTHONPATH": f"{root}:{root / 'src'}"})
    path = tmp_path / "troubled.kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(document))
    program.start()
    yield path
    program.kill()


@pytest.mark.parametrize("troubled", TROUBLES, indirect=True)
def test_a_training_runs_once_whatever_trouble_the_api_server_gives(
    own: Cluster, tmp_path: Path, troubled: Path
) -> None:
    namespace = own.namespace(f"trouble-{os.urandom(3).hex()}")
    with short_operator(own, tmp_path, "operator", kubeconfig=troubled):
        own.api.create(training(ONCE, namespace))
        ended = _ended_well(own, namespace)
    reasons = [each["reason"] for each in ended["status"]["conditions"] if each["type"] == "Complete"]
    assert reasons == ["ProgramSucceeded"]
    assert (_created(own, namespace, "jobs"), _created(own, namespace, "persistentvolumeclaims")) == (1, 1)


def test_an_object_of_another_under_the_name_of_a_child_is_left_alone(own: Cluster, tmp_path: Path) -> None:
    namespace = own.namespace("stranger")
    made = own.api.create(training(ONCE, namespace))
    owner = TRAINING.new("shoes", TrainingSpec(program=ProgramSpec(command=("true",))))
    owner = replace(owner, metadata=structs.replace(owner.metadata, uid=made["metadata"]["uid"]))
    name = child_name(owner, PROGRAM)
    container = {"name": "c", "image": "host.local/shell", "command": ["true"]}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata = {"name": name, "namespace": namespace}
    stranger = own.api.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"suspend": True, "template": pod},
        }
    )
    with short_operator(own, tmp_path, "operator"):

        def warned(found: list[Object]) -> bool:
            return any(each["reason"] == "Exists" and name in each["message"] for each in found)

        own.api.wait_all("Event", namespace, warned)
        left = own.api.get("Job", name, namespace)
        assert left["metadata"]["uid"] == stranger["metadata"]["uid"]
        assert "ownerReferences" not in left["metadata"]
        assert left["spec"]["suspend"] is True
        own.api.delete("Job", name, namespace)
        _ended_well(own, namespace)


def test_what_is_deleted_with_its_children_first_gets_no_new_ones(own: Cluster, tmp_path: Path) -> None:
    namespace = own.namespace("foreground")
    with short_operator(own, tmp_path, "operator"):
        own.api.create(training("sleep 600", namespace))
        own.api.wait("Training", "shoes", namespace, lambda it: condition(it, "Running") == "True")
        own.api.delete("Training", "shoes", namespace, propagationPolicy="Foreground")
        # the garbage collector's time, not ours: it may look for new kinds, and try again, every half minute only
        own.api.wait_gone("Training", "shoes", namespace, seconds=400)
        own.api.wait_all("Pod", namespace, lambda found: not found)
    assert (_created(own, namespace, "jobs"), _created(own, namespace, "persistentvolumeclaims")) == (1, 1)


def test_a_hundred_trainings_converge_and_a_restart_writes_nothing(own: Cluster, tmp_path: Path) -> None:
    """benchmarks/cluster_objects.py has a thousand."""
    keep_trainings(own, tmp_path, 100, 0.5, lambda cluster, place: short_operator(cluster, place, place.name))
