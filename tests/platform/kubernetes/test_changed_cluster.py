"""What a cluster could not run begins when it can, without a restart and without another change of the resource."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context

from lykeion.control import AnyKind, AnyResource, condition_of
from lykeion.core import Unavailable
from lykeion.platform.composition import KINDS
from lykeion.platform.kubernetes.api.list_watch import WatchTimes
from lykeion.platform.kubernetes.api.server_answers import ClusterRefused, NotServed
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.operator.cluster_facts import (
    READ_AGAIN_S,
    ProfileInUse,
    keeps_image_volumes,
    read_facts,
)
from lykeion.platform.kubernetes.operator.cluster_platform import ClusterPlatform, OperatorSettings
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroupSpec
from lykeion.platform.resources.plain_kinds.work import WORK, Role, WorkSpec
from lykeion.platform.resources.programs.program import AcceleratorRequest, Program, Requests
from lykeion.platform.resources.settings.cluster_profile import AcceleratorProfile, ClusterProfileSpec

from .memory_cluster import TIME, Document, MemoryCluster

FACTS = ClusterFacts(image="lykeion:1")
JOB_SET = "jobset.x-k8s.io/v1alpha2"


class GrowingCluster(MemoryCluster):
    """One in which JobSet is installed after a while."""

    def __init__(self) -> None:
        super().__init__("here")
        self.groups: list[str] = []
        self.asked = 0

    async def get(self, path: str, what: str, query: Any = None) -> Document:
        if path == "/version":
            self.asked += 1
            return {"major": "1", "minor": "34+"}
        if path == "/apis":
            return {"groups": [{"versions": [{"groupVersion": each}]} for each in self.groups]}
        if path.startswith("/apis/jobset") and not self.groups:
            raise NotServed(f"{what}: the cluster does not have this kind")
        return await super().get(path, what, query)


def _run(use: Callable[[GrowingCluster, ClusterStore], Awaitable[None]]) -> None:
    async def with_store() -> None:
        cluster = GrowingCluster()
        client: Any = cluster
        store = ClusterStore(client, KINDS, TRANSLATIONS, FACTS, times=WatchTimes(first_back_off_s=0.01))
        try:
            await use(cluster, store)
        finally:
            await store.close()

    asyncio.run(asyncio.wait_for(with_store(), 60))


async def _wanted(store: ClusterStore, wanted: AnyResource, holds: Callable[[AnyResource], object]) -> AnyResource:
    """As a controller: apply it whenever it is told of and is not as wanted, until it is so."""
    listing = await store.listing(wanted.kind)
    async with aclosing(store.watch(wanted.kind, listing.version)) as changes:
        async for change in changes:
            there = change.resource
            if holds(there):
                return there
            if there.spec != wanted.spec or there.metadata.labels != wanted.metadata.labels:
                await store.apply(wanted)
    raise AssertionError


def _reason(resource: AnyResource) -> str:
    found = condition_of(resource.status.conditions, "Unschedulable")
    return found.reason if found else ""


def _new(kind: AnyKind, spec: Any) -> AnyResource:
    return kind.new("embed", spec)


GANG = _new(
    WORK,
    WorkSpec(
        program=Program(command=("true",)),
        completions=2,
        parallelism=2,
        roles=(Role(name="chief"), Role(name="worker")),
    ),
)


def test_a_work_of_several_roles_begins_when_job_set_is_installed_after_the_operator() -> None:
    async def use(cluster: GrowingCluster, store: ClusterStore) -> None:
        assert _reason(await store.create(GANG)) == "Unsupported"
        writes = cluster._version
        await store.apply(GANG)
        assert cluster._version == writes, "nothing is written while it cannot run"
        profile = ProfileInUse(store, FACTS)
        client: Any = cluster
        reading = asyncio.create_task(profile.keep_read(lambda: read_facts(client, "lykeion:1"), 0.01))
        begun = asyncio.create_task(_wanted(store, GANG, lambda it: cluster.kept("jobsets")))
        cluster.groups.append(JOB_SET)
        await begun
        path = next(path for path in cluster.objects if path.split("/")[-2] == "jobsets")
        ended = {"type": "Completed", "status": "True", "reason": "AllJobsCompleted", "lastTransitionTime": TIME}
        await cluster.patch(f"{path}/status", "", {"status": {"conditions": [ended]}}, "merge")
        done = await _wanted(store, GANG, lambda it: condition_of(it.status.conditions, "Complete"))
        assert done.status.succeeded == "0-1", "so the new type is watched"
        reading.cancel()

    _run(use)


def test_what_the_cluster_has_is_read_as_often_as_the_guide_says_also_after_a_failure() -> None:
    async def use(cluster: GrowingCluster, store: ClusterStore) -> None:
        tried: list[str] = []

        async def read() -> ClusterFacts:
            tried.append("again")
            if len(tried) == 1:
                raise Unavailable("here: it does not answer")
            return replace(FACTS, served=frozenset({JOB_SET}))

        profile = ProfileInUse(store, FACTS)
        reading = asyncio.create_task(profile.keep_read(read, 0.01))
        while JOB_SET not in profile.facts.served:
            await asyncio.sleep(0.01)
        assert len(tried) == 2
        reading.cancel()

    _run(use)
    guide = (Path(__file__).parents[3] / "docs" / "kubernetes.md").read_text()
    assert f"asks every {READ_AGAIN_S:g} s which types the cluster has" in guide
    assert inspect.signature(ProfileInUse.keep_read).parameters["every_s"].default == READ_AGAIN_S


def test_replicas_begin_when_the_profile_is_told_of_their_accelerator() -> None:
    needy = Program(image="shop:v1", resources=Requests(accelerator=AcceleratorRequest(type="t4")))
    group = _new(REPLICA_GROUP, ReplicaGroupSpec(program=needy, replicas=2))

    async def use(cluster: GrowingCluster, store: ClusterStore) -> None:
        made = await store.create(group)
        assert (_reason(made), made.spec.replicas) == ("Unsupported", 0)
        begun = asyncio.create_task(_wanted(store, group, lambda it: it.spec.replicas == 2))
        gpu = AcceleratorProfile(name="a100", resource_name="nvidia.com/gpu")
        await asyncio.sleep(0)
        store.use(replace(FACTS, profile=ClusterProfileSpec(accelerators=(gpu,))))
        while "it has a100" not in str((await store.get(group.key)).status.conditions):
            await asyncio.sleep(0.01)
        t4 = replace(FACTS, profile=ClusterProfileSpec(accelerators=(AcceleratorProfile("t4", "nvidia.com/gpu"),)))
        store.use(t4)
        await begun
        (deployment,) = cluster.kept("deployments")
        assert deployment["spec"]["replicas"] == 2

    _run(use)


def test_a_cluster_that_does_not_answer_is_as_it_was() -> None:
    async def use(cluster: GrowingCluster, store: ClusterStore) -> None:
        tries = 0

        async def read() -> ClusterFacts:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise Unavailable("here: it does not answer")
            return replace(FACTS, version=(1, 35))

        profile = ProfileInUse(store, FACTS)
        reading = asyncio.create_task(profile.keep_read(read, 0.01))
        while profile.facts.version != (1, 35):
            await asyncio.sleep(0.01)
            assert not reading.done()
        assert profile.facts.profile == FACTS.profile
        reading.cancel()

    _run(use)


class Storing:
    """An API server that answers a Job with these volumes, or with an error."""

    def __init__(self, volumes: Any) -> None:
        self.volumes, self.asked = volumes, list[tuple[str, Any]]()

    async def post(self, path: str, what: str, document: Any, query: Any = None) -> Any:
        self.asked.append((path, query))
        if isinstance(self.volumes, Exception):
            raise self.volumes
        return {"spec": {"template": {"spec": {"volumes": self.volumes}}}}


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ([{"name": "files", "image": {"reference": "files"}}], True),
        ([{"name": "files", "emptyDir": {}}], False),
        (None, False),
        (ClusterRefused("jobs.batch is forbidden: exceeded quota"), False),
    ],
)
def test_whether_a_server_keeps_image_volumes_is_read_back_without_storing_anything(answer: Any, kept: bool) -> None:
    client: Any = Storing(answer)
    assert asyncio.run(keeps_image_volumes(client, "shop")) is kept
    assert client.asked == [("/apis/batch/v1/namespaces/shop/jobs", {"dryRun": "All"})]


def test_image_volumes_that_were_refused_are_asked_for_again_until_the_server_keeps_them() -> None:
    class Server(GrowingCluster):
        full = True
        tried = 0

        async def post(self, path: str, what: str, document: Any, query: Any = None) -> Any:
            self.tried += 1
            if self.full:
                raise ClusterRefused("jobs.batch is forbidden: exceeded quota")
            return document

    async def use() -> None:
        access = SingleConfig(context_name="here", context=Context(cluster="here"), cluster=Cluster("https://here"))
        operator: Any = ClusterPlatform(access, KINDS, (), OperatorSettings(namespaces=("shop",)))
        server: Any = Server()
        operator._client = operator._lease_client = server
        facts = await operator._read_facts()
        assert not facts.image_volumes
        server.full = False
        facts = await operator._read_facts(facts)
        assert facts.image_volumes
        assert (await operator._read_facts(facts)).image_volumes
        assert server.tried == 2

    asyncio.run(use())
