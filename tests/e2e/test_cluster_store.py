"""Resources in a real cluster: the same promises as of the store on this machine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lykeion.control import AnyResource, Condition, ResourceStore, custom_resource_definition
from lykeion.core import Unavailable
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.api.request_rate import RequestRate
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from tests.control.lamps import KINDS, LAMP, LampStatus, lamp
from tests.control.store_behaviour import PROMISES

from .kubernetes_cluster import Cluster

NAMESPACES = ("default", "a", "b", "c")


@pytest.fixture(scope="module")
def lamps(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """The cluster with lamps and bulbs, as ours are defined."""
    place = tmp_path_factory.mktemp("lamps")
    for kind in KINDS.values():
        (place / f"{kind.plural}.yaml").write_text(yaml.safe_dump(custom_resource_definition(kind)))
    names = cluster.install(place)
    for name in NAMESPACES[1:]:
        cluster.namespace(name)
    yield cluster
    for name in names:
        cluster.api.delete("CustomResourceDefinition", name)
    for name in names:
        cluster.api.wait_gone("CustomResourceDefinition", name)


@pytest.fixture
def empty(lamps: Cluster) -> Cluster:
    for kind in KINDS.values():
        lamps.api.clear(kind.name)
    return lamps


async def _with_store(kubeconfig: Path, use: Callable[[ResourceStore], Awaitable[None]], *namespaces: str) -> None:
    client = ClusterClient(cluster_access(), RequestRate(per_s=1000, burst=1000))
    store = ClusterStore(client, KINDS, namespaces=namespaces)
    try:
        await use(store)
    finally:
        await store.close()
        await client.close()


@pytest.mark.parametrize("inside", [(), NAMESPACES], ids=["all", "some"])
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_store_keeps_its_promises(
    promise: Callable[[ResourceStore], Awaitable[None]],
    inside: tuple[str, ...],
    empty: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(empty.kubeconfig))
    asyncio.run(_with_store(empty.kubeconfig, promise, *inside))


def test_conditions_of_another_writer_stay_and_remain_the_other_writers(
    empty: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(empty.kubeconfig))
    api = empty.api
    head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Lamp", "metadata": {"name": "desk"}}
    head["metadata"] |= {"namespace": "default"}  # type: ignore[operator]

    def admit(*types: str) -> None:
        time = "2026-11-01T00:00:00Z"
        conditions = [{"type": each, "status": "True", "lastTransitionTime": time} for each in types]
        path = api.path("Lamp", "default", "desk") + "/status?fieldManager=other&force=true"
        document = json.dumps({**head, "status": {"conditions": conditions}})
        answer = api.client.patch(path, content=document, headers={"content-type": "application/apply-patch+yaml"})
        assert answer.status_code == 200, answer.text

    def types(resource: AnyResource) -> list[str]:
        return sorted(each.type for each in resource.status.conditions)

    async def use(store: ResourceStore) -> None:
        made = await store.create(lamp())
        admit("Admitted")
        read = await store.get(made.key)
        ours = Condition(type="Ready", status="True", last_transition_time=made.metadata.creation_timestamp)
        status = LampStatus(lit=1, conditions=(*read.status.conditions, ours))
        written = await store.write_status(read.with_status(status))
        assert types(written) == ["Admitted", "Ready"]
        admit()
        assert types(await store.get(made.key)) == ["Ready"]
        read = await store.get(made.key)
        assert types(await store.write_status(read.with_status(LampStatus(lit=2)))) == []

    asyncio.run(_with_store(empty.kubeconfig, use))


def test_a_definition_that_is_missing_says_what_to_do(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    absent = replace(LAMP, name="Torch", plural="torches")

    async def use(store: ResourceStore) -> None:
        with pytest.raises(Unavailable, match="torches: the cluster does not have this kind; install its definition"):
            await store.listing(absent)

    asyncio.run(_with_store(cluster.kubeconfig, use))
