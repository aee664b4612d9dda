"""Views of real objects: what others delete of a group's is brought back, and no more is made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lykeion.control import Key
from lykeion.platform.composition import KINDS
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.resources.program import Program
from lykeion.platform.resources.replica_group import REPLICA_GROUP, ReplicaGroupSpec

from .kubernetes_api import Object
from .kubernetes_cluster import Cluster

GROUP = ReplicaGroupSpec(program=Program(command=("sleep", "600"), image="host.local/shell"), replicas=0)


def _run(namespace: str, use: Callable[[ClusterStore], Awaitable[None]]) -> None:
    async def with_store() -> None:
        client = ClusterClient(cluster_access())
        store = ClusterStore(client, KINDS, TRANSLATIONS, namespaces=[namespace])
        keeping = asyncio.create_task(store.keep())
        try:
            await use(store)
            assert not keeping.done()
        finally:
            keeping.cancel()
            await store.close()
            await client.close()

    asyncio.run(asyncio.wait_for(with_store(), 120))


def test_what_others_delete_of_a_group_is_brought_back(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    api = cluster.api

    async def until(kind: str, name: str, holds: Callable[[Object], Any]) -> None:
        await asyncio.to_thread(api.wait, kind, name, namespace, holds)

    async def use(store: ClusterStore) -> None:
        group = REPLICA_GROUP.new("shop", GROUP, namespace=namespace)
        made = await store.create(group)
        assert made.spec == GROUP
        (service,) = [each["metadata"]["name"] for each in api.items("Service", namespace)]
        uid = api.get("Service", service, namespace)["metadata"]["uid"]
        api.delete("Service", service, namespace)
        await until("Service", service, lambda it: it and it["metadata"]["uid"] != uid)
        await store.delete(Key("ReplicaGroup", namespace, "shop"), made.metadata.uid)
        await until("Service", service, lambda it: not it)

    _run(namespace, use)
    kinds = ("services", "deployments", "poddisruptionbudgets")
    writes = [
        f"{each['verb']} {each['objectRef']['resource']}"
        for each in cluster.audited()
        if each.get("userAgent", "").startswith("python-httpx2")
        and each.get("objectRef", {}).get("namespace") == namespace
        and each["objectRef"].get("resource") in kinds
        and each["verb"] in ("create", "patch", "update")
    ]
    once = ["create deployments", "create poddisruptionbudgets", "create services"]
    assert sorted(writes) == [*once, "create services"]
