"""Views of real objects: what others delete of a group's is brought back, what was done is never forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Key
from lykeion.platform.composition import KINDS
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroupSpec
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import Program

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


def test_what_a_queued_job_has_done_is_known_though_the_operator_is_killed_before_it_has_made_the_next(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    api = cluster.api
    queued = Program(command=("true",), image="host.local/shell", pod=PodTemplate(queue_name="night"))
    work = WORK.new("embed", WorkSpec(program=queued, completions=3, parallelism=3), namespace=namespace)
    suspended = replace(work, spec=structs.replace(work.spec, suspend=True))

    def end_one() -> None:
        """As if a queue had admitted it: the first shard has ended."""
        status = {"completedIndexes": "0", "succeeded": 1}
        api.patch("Job", "embed", namespace, {"status": status}, subresource="status")

    async def killed(store: ClusterStore) -> None:
        await store.create(work)
        await asyncio.to_thread(end_one)
        while (await store.get(work.key)).status.succeeded != "0":
            await asyncio.sleep(0.1)
        post = ClusterClient.post

        async def dies(client: ClusterClient, path: str, what: str, document: Any, query: Any = None) -> Any:
            if what == "job/embed":
                raise ConnectionError("killed")
            return await post(client, path, what, document, query)

        with monkeypatch.context() as patched:
            patched.setattr(ClusterClient, "post", dies)
            with pytest.raises(ConnectionError):
                await store.apply(suspended)

    async def next_one(store: ClusterStore) -> None:
        (kept,) = api.items("Job", namespace)
        assert kept["metadata"]["name"].startswith("embed-record-")
        made = await store.create(suspended)
        assert (made.status.succeeded, made.spec.suspend) == ("0", True)
        await store.apply(work)
        (job,) = api.items("Job", namespace)
        assert (job["metadata"]["name"], job["status"]["completedIndexes"]) == ("embed", "0")

    _run(namespace, killed)
    _run(namespace, next_one)
