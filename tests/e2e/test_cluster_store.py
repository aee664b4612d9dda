"""Resources in a real cluster: the same promises as of the store on this machine."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import pytest
import yaml

from lykeion.control import ResourceStore, custom_resource_definition
from lykeion.platform.kubernetes.cluster_client import ClusterClient
from lykeion.platform.kubernetes.cluster_store import ClusterStore
from lykeion.platform.kubernetes.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.request_rate import RequestRate
from tests.control.lamps import KINDS
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
        cluster.kubectl("delete", "customresourcedefinition", name)
    for name in NAMESPACES[1:]:
        cluster.kubectl("delete", "namespace", name)


@pytest.fixture
def empty(lamps: Cluster) -> Cluster:
    for kind in KINDS.values():
        lamps.kubectl("delete", kind.plural, "--all", "--all-namespaces")
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
