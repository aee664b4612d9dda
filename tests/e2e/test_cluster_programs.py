"""Batches and trainings in a real cluster, with their controllers: the same resources as on this machine."""

import json
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion import registry as models
from lykeion.platform.controllers.batch_controller import BATCH_EXECUTIONS
from lykeion.platform.controllers.training_controller import TRAININGS
from lykeion.platform.kubernetes.objects.object_types import JOB_SETS
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.policies.attempts import giving_way
from lykeion.platform.resources.settings.cluster_profile import ClusterProfileSpec, StorageProfile

from .cluster_addons import start_jobset, start_kueue
from .cluster_controllers import cluster_controllers
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
IMAGE = "host.local/lykeion"
USER = 65532
SHARED = ClusterProfileSpec(storage=StorageProfile(shared=True))


@dataclass
class Shop:
    """A namespace with controllers."""

    cluster: Cluster
    namespace: str

    def create(self, kind: str, name: str, **spec: Any) -> None:
        head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": kind}
        self.cluster.api.create({**head, "metadata": {"name": name, "namespace": self.namespace}, "spec": spec})

    def wait(self, kind: str, name: str, holds: Any, seconds: float = 120) -> Object:
        return self.cluster.api.wait(
            kind, name, self.namespace, lambda it: it and holds(it.get("status", {})), seconds=seconds
        )["status"]

    def ended(self, kind: str, name: str, seconds: float = 120) -> Object:
        return self.wait(
            kind, name, lambda status: any(_true(status, each) for each in ("Complete", "Failed")), seconds
        )

    def run_of(self, training: str) -> Path:
        """The directory of a training's claim, which is its only one."""
        claims = self.cluster.api.items("PersistentVolumeClaim", self.namespace)
        (claim,) = [each for each in claims if each["metadata"]["name"].startswith(f"{training}-")]
        volume = self.cluster.api.get("PersistentVolume", claim["spec"]["volumeName"])
        return Path(volume["spec"]["hostPath"]["path"])


def _true(status: Object, type_: str) -> bool:
    return condition({"status": status}, type_) == "True"


def _has(status: Object, type_: str) -> bool:
    return any(each["type"] == type_ for each in status.get("conditions", ()))


def shell(script: str) -> Object:
    return {"image": IMAGE, "command": ["sh", "-c", script], "pod": {"runAsUser": USER}}


@pytest.fixture
def shop(cluster: Cluster, namespace: str) -> Generator[Shop]:
    facts = ClusterFacts(image=IMAGE, profile=SHARED)
    with cluster_controllers(cluster, namespace, [BATCH_EXECUTIONS, TRAININGS], facts):
        yield Shop(cluster, namespace)


@pytest.fixture(scope="module")
def registry(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A registry that the cluster's pods reach, over plain HTTP."""
    if PROGRAM is None:
        pytest.skip("needs Debian's docker-registry")
    place = tmp_path_factory.mktemp("registry")
    with docker_registry(place, address=cluster.machine) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_REGISTRIES", f"http://{host}")
        yield host


@pytest.fixture
def with_registry(cluster: Cluster, namespace: str, registry: str) -> Generator[Shop]:
    profile = ClusterProfileSpec(storage=SHARED.storage, registry_prefix=f"{registry}/{namespace}")
    facts = ClusterFacts(image=IMAGE, profile=profile, registries=f"http://{registry}")
    with (
        pytest.MonkeyPatch.context() as patch,
        cluster_controllers(cluster, namespace, [BATCH_EXECUTIONS, TRAININGS], facts),
    ):
        patch.setenv("LYKEION_REGISTRY_PREFIX", profile.registry_prefix)
        yield Shop(cluster, namespace)


def test_a_retry_of_a_batch_runs_only_the_shards_that_failed(shop: Shop) -> None:
    items = ["red", "green $HOME", "blue"]
    script = 'item=$(cat $LYKEION_SHARD_FILE); echo "$LYKEION_SHARD_INDEX of $LYKEION_SHARD_COUNT: $item"; '
    fails = script + 'test "$item" != "green $HOME" || { echo no photo; exit 7; }'
    shop.create(
        "BatchExecution", "embed", program=shell(fails.replace("$HOME", "\\$HOME")),
        shards={"items": items}, parallelism=3, retries=0, minSucceeded=2,
    )  # fmt: skip
    status = shop.ended("BatchExecution", "embed")
    assert _true(status, "Complete")
    assert (status["succeeded"], status["failed"], status["progress"]) == ("0,2", "1", "2/3")
    assert status["failures"][0]["message"] == "no photo"
    shop.create(
        "BatchExecution", "again", program=shell(script), shards={"items": items}, parallelism=3, retryOf="embed"
    )
    status = shop.ended("BatchExecution", "again")
    assert (status["succeeded"], _true(status, "Complete")) == ("0-2", True)
    pods = [each for each in shop.cluster.api.items("Pod", shop.namespace) if "again" in each["metadata"]["name"]]
    assert len(pods) == 1
    assert shop.cluster.api.logs(pods[0]["metadata"]["name"], shop.namespace) == "1 of 3: green $HOME\n"


def test_a_batch_is_suspended_and_goes_on(shop: Shop) -> None:
    script = "test $LYKEION_SHARD_INDEX = 0 && exit 0; trap 'exit 0' TERM; sleep 600 & wait"
    shop.create("BatchExecution", "embed", program=shell(script), shards={"count": 2}, parallelism=2, retries=0)
    shop.wait("BatchExecution", "embed", lambda it: (it.get("succeeded"), it.get("active")) == ("0", "1"))
    shop.cluster.api.patch("BatchExecution", "embed", shop.namespace, {"spec": {"suspend": True}})
    status = shop.wait("BatchExecution", "embed", lambda it: _true(it, "Suspended"))
    assert (status["succeeded"], status.get("failed", "")) == ("0", "")
    shop.cluster.api.patch("BatchExecution", "embed", shop.namespace, {"spec": {"suspend": False}})
    shop.wait("BatchExecution", "embed", lambda it: _true(it, "Running") and it.get("active") == "1")
    pods = [each for each in shop.cluster.api.items("Pod", shop.namespace) if each["status"]["phase"] == "Running"]
    assert len(pods) == 1


def test_a_training_publishes_its_model_and_its_program_has_no_credentials(with_registry: Shop) -> None:
    shop = with_registry
    lines = [
        "import os, json, pathlib",
        "from lykeion.nets import LOGITS, random_weights, write_litert",
        "from tests.model_server.tiny import CARD, NETWORK",
        "assert not {'DOCKER_CONFIG', 'LYKEION_REGISTRY_PREFIX'} & set(os.environ)",
        "run = pathlib.Path(os.environ['LYKEION_RUN'])",
        "(run / 'model.tflite').write_bytes(write_litert(NETWORK, random_weights(NETWORK, 1), output=LOGITS))",
        "(run / 'model.json').write_text(CARD.to_json())",
    ]
    program = {**shell(""), "command": [sys.executable, "-c", "\n".join(lines)], "workingDir": str(ROOT)}
    shop.create("Training", "tiny", program=program, publish={"model": "tiny:candidate"})
    status = shop.ended("Training", "tiny", 180)
    assert _true(status, "Complete"), status
    store, reference = models.Stores().find("tiny:candidate")
    assert models.load(store, reference).digest == status["digest"]
    account = {each["spec"]["serviceAccountName"] for each in shop.cluster.api.items("Pod", shop.namespace)}
    assert account == {"default", "lykeion-registry"}


def _queue(shop: Shop, cores: int) -> None:
    """Of Kueue, with a quota; what has a higher priority takes the place of what has a lower one."""
    start_kueue(shop.cluster)
    name, version = shop.namespace, "kueue.x-k8s.io/v1beta2"
    flavors = [{"name": name, "resources": [{"name": "cpu", "nominalQuota": cores}]}]
    queue = {
        "namespaceSelector": {},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}],
    }
    for kind, metadata, spec in (
        ("ResourceFlavor", {"name": name}, {}),
        ("ClusterQueue", {"name": name}, queue),
        ("LocalQueue", {"name": "night", "namespace": name}, {"clusterQueue": name}),
    ):
        shop.cluster.api.create({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": f"{name}-high"}}
    shop.cluster.api.create({**priority, "value": 1000})


def _queued(script: str, **pod: Any) -> Object:
    made = shell(script)
    return {**made, "resources": {"cpu": 1}, "pod": {**made["pod"], "queueName": "night", **pod}}


UNTIL_RELEASED = "trap 'exit 9' TERM; until test -e $LYKEION_RUN/go; do sleep 0.05; done; echo 1 > $LYKEION_RUN/end"


def test_two_trainings_take_turns_in_a_queue(shop: Shop) -> None:
    _queue(shop, 1)
    shop.create("Training", "first", program=_queued(UNTIL_RELEASED))
    shop.wait("Training", "first", lambda it: _true(it, "Running"))
    shop.create("Training", "second", program=_queued("true"))
    shop.cluster.api.wait_all("Workload", shop.namespace, lambda them: len(them) == 2)
    status = shop.wait("Training", "second", lambda it: it.get("startTime"))
    assert status.get("attempts", 0) == 0
    (shop.run_of("first") / "go").touch()
    assert _true(shop.ended("Training", "first"), "Complete")
    assert shop.ended("Training", "second")["attempts"] == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_is_preempted_is_no_failure_and_ends_later(shop: Shop, workers: int) -> None:
    _queue(shop, workers)
    shop.create("Training", "low", program=_queued(UNTIL_RELEASED), workers=workers, retries=0)
    shop.wait("Training", "low", lambda it: _true(it, "Running") and it["attempts"] == 1)
    high = _queued("true", priorityClassName=f"{shop.namespace}-high")
    shop.create("Training", "high", program=high, workers=workers)
    assert _true(shop.ended("Training", "high"), "Complete")
    shop.wait("Training", "low", lambda it: _true(it, "Running"))
    workloads = shop.cluster.api.items("Workload", shop.namespace)
    assert sum(_has(each["status"], "Preempted") for each in workloads) == 1
    (shop.run_of("low") / "go").touch()
    status = shop.ended("Training", "low")
    assert _true(status, "Complete"), status
    assert status["failures"] == []


def test_a_training_in_a_queue_is_suspended_and_goes_on(shop: Shop) -> None:
    _queue(shop, 1)
    shop.create("Training", "first", program=_queued(UNTIL_RELEASED), retries=0)
    shop.wait("Training", "first", lambda it: _true(it, "Running"))
    shop.cluster.api.patch("Training", "first", shop.namespace, {"spec": {"suspend": True}})
    shop.wait("Training", "first", lambda it: _true(it, "Suspended"))
    shop.create("Training", "second", program=_queued("true"))
    assert _true(shop.ended("Training", "second"), "Complete")
    shop.cluster.api.patch("Training", "first", shop.namespace, {"spec": {"suspend": False}})
    shop.wait("Training", "first", lambda it: _true(it, "Running"))
    (shop.run_of("first") / "go").touch()
    assert _true(shop.ended("Training", "first"), "Complete")


def test_programs_of_several_roles_find_one_another_and_start_again_together(
    cluster: Cluster, namespace: str
) -> None:
    """By a JobSet; the first worker fails in the first attempt."""
    start_jobset(cluster)
    lines = [
        "import json, os, pathlib, socket, time",
        "task, run = json.loads(os.environ['TF_CONFIG'])['task'], pathlib.Path(os.environ['LYKEION_RUN'])",
        "role, place, rank = os.environ['LYKEION_ROLE'], os.environ['LYKEION_ROLE_INDEX'], os.environ['RANK']",
        "assert task == {'type': role, 'index': int(place)}",
        "me = os.environ['LYKEION_PEERS'].split(',')[int(rank)].partition(':')[0]",
        "assert me.partition('.')[0] == socket.gethostname()",
        "again = run / 'again'",
        "if not again.exists():",
        "    (run / f'began-{rank}').touch()",
        "    while len(list(run.glob('began-*'))) < 3: time.sleep(0.1)",
        "    if (role, place) == ('worker', '0'): again.touch(); raise SystemExit('broken')",
        "    time.sleep(600)",
        "chief = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])",
        "server = socket.create_server(('', chief[1])) if rank == '0' else None",
        "for _ in range(2 if server else 0): server.accept()[0].sendall(b'hello')",
        "def ask():",
        "    while True:",
        "        try: return socket.create_connection(chief, 5)",
        "        except OSError: time.sleep(0.1)",
        "assert server or ask().recv(9) == b'hello'",
        "(run / f'{role}-{place}-{rank}').touch()",
    ]
    program = {**shell(""), "command": [sys.executable, "-c", "\n".join(lines)]}
    roles = [{"name": "chief"}, {"name": "worker", "replicas": 2}]
    facts = ClusterFacts(image=IMAGE, profile=SHARED, served=frozenset({JOB_SETS.api_version}))
    with cluster_controllers(cluster, namespace, [TRAININGS], facts):
        shop = Shop(cluster, namespace)
        shop.create("Training", "roles", program=program, roles=roles, retries=1)
        status = shop.ended("Training", "roles")
    assert _true(status, "Complete"), status
    assert (status["attempts"], status["failures"][0]["message"]) == (2, "broken")
    ended = sorted(path.name for path in shop.run_of("roles").glob("*-*-*"))
    assert ended == ["chief-0-0", "worker-0-1", "worker-1-2"]


def test_a_training_with_room_for_one_of_two_processes_gives_it_up_and_starts_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "HELD_S", 2)
    monkeypatch.setattr(giving_way, "PAUSES_S", range(1, 2))
    (node,) = shop.cluster.api.items("Node")
    half = int(node["status"]["allocatable"]["cpu"]) / 2
    other = {**shell("trap 'exit 0' TERM; sleep 600 & wait"), "resources": {"cpu": f"{int(half * 1000)}m"}}
    shop.create("Training", "other", program=other)
    shop.wait("Training", "other", lambda it: _true(it, "Running"))
    both = {**shell("true"), "resources": {"cpu": f"{int(half * 900)}m"}}
    ready = "touch $LYKEION_RUN/$RANK; while test $(ls $LYKEION_RUN | wc -l) -lt 2; do sleep 0.1; done"
    both["command"] = ["sh", "-c", f"trap 'rm $LYKEION_RUN/$RANK; exit 9' TERM; {ready}"]
    shop.create("Training", "both", program=both, workers=2, retries=0)
    shop.wait("Training", "both", lambda it: _true(it, "GaveWay"))
    shop.cluster.api.delete("Training", "other", shop.namespace)
    status = shop.ended("Training", "both")
    assert _true(status, "Complete"), status
    assert (status["attempts"], status["failures"]) == (1, [])


def _example(program: str, batch: int, dies: str = "") -> Object:
    """One of examples/training, over 28 steps; the workers that ``dies`` names are killed before step 15.

    The program is not process 1, which no signal of its own kills.
    """
    start = 'mkdir -p "$DIED" && "$@"; exit $?'
    options = ["--sample", "--epochs", "1", "--batch", str(batch), "--learning-rate", "0.02"]
    worker = [
        sys.executable,
        "-m",
        "tests.e2e.dying_worker",
        program,
        "15",
        dies,
        *options,
        "--checkpoint-steps",
        "10",
    ]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "DIED": "$(LYKEION_RUN)/died", "TF_CPP_MIN_LOG_LEVEL": "2"}
    env = [{"name": name, "value": value} for name, value in variables.items()]
    made = {**shell(""), "command": ["sh", "-c", start, "sh", *worker], "env": env, "workingDir": str(ROOT)}
    return made


def _losses(shop: Shop, training: str) -> list[float]:
    rows = [json.loads(line) for line in (shop.run_of(training) / "metrics.jsonl").read_text().splitlines()]
    by_step = {row["step"]: row["loss"] for row in rows if "loss" in row}
    assert sorted(by_step) == list(range(1, 29))
    return [by_step[step] for step in sorted(by_step)]


@pytest.mark.parametrize(("program", "dies"), [("tensorflow_loop", "0,1")])
def test_two_workers_that_are_killed_at_half_have_the_losses_of_one_with_twice_the_batch(
    shop: Shop, program: str, dies: str
) -> None:
    shop.create("Training", "one", program=_example(program, 64))
    assert _true(shop.ended("Training", "one", 300), "Complete")
    shop.create("Training", "two", program=_example(program, 32, dies), workers=2)
    status = shop.ended("Training", "two", 400)
    assert _true(status, "Complete"), status
    assert (status["attempts"], len(status["failures"])) == (2, 1)
    assert _losses(shop, "two") == pytest.approx(_losses(shop, "one"), rel=1e-5)
