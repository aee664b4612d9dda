"""Webhooks in a cluster: the operator reads the Secrets that a namespace lets it read, and no others."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from msgspec import structs

from lykeion.control import Condition, condition_of, follow, merged
from lykeion.platform import KINDS
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.local.webhook_sender import WebhookSender
from lykeion.platform.resources.programs.program import KeyOf
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION
from lykeion.platform.resources.settings.webhook import WEBHOOK, Webhook, WebhookSpec
from tests.platform.batches import batch
from tests.platform.test_webhooks import NOON, Receiver, receiver

from .cluster_controllers import operator_account
from .kubernetes_api import ApiError, KubernetesApi
from .kubernetes_cluster import Cluster

assert receiver

ALLOW = (
    ("role", "lykeion-webhooks", "--verb=get", "--resource=secrets", "--resource-name=hook"),
    (
        "rolebinding",
        "lykeion-webhooks",
        "--role=lykeion-webhooks",
        "--serviceaccount=lykeion-system:lykeion-operator",
    ),
)
"""As docs/kubernetes.md has it."""


def _secret(cluster: Cluster, namespace: str, name: str) -> None:
    metadata = {"name": name, "namespace": namespace}
    data = {"key": "whsec_c2VjcmV0"}
    cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


def test_a_webhook_is_told_once_its_namespace_lets_the_operator_read_its_secret(
    cluster: Cluster, namespace: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = operator_account(cluster)
    monkeypatch.setenv("KUBECONFIG", str(account))
    for name in ("hook", "other"):
        _secret(cluster, namespace, name)

    async def main() -> None:
        client = ClusterClient(cluster_access())
        store = ClusterStore(client, KINDS, namespaces=[namespace])
        sender = WebhookSender(store, [BATCH_EXECUTION])
        told = follow(store, BATCH_EXECUTION, partial(sender.listed, BATCH_EXECUTION), sender.changed)
        tasks = [asyncio.ensure_future(each) for each in (sender.run(), told)]
        try:
            await _use(store)
            assert not any(each.done() for each in tasks)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()
            await client.close()

    async def _use(store: ClusterStore) -> None:
        key = KeyOf(name="hook", key="key")
        document = WEBHOOK.new("team", WebhookSpec(url=receiver.url, secret=key), namespace=namespace).document()
        await asyncio.to_thread(cluster.api.apply, {**document, "status": {}})
        await _until(store, lambda it: bool(it.status.cursor))
        made = BATCH_EXECUTION.new("embed", batch(1).spec, namespace=namespace)
        await asyncio.to_thread(cluster.api.apply, {**made.document(), "status": {}})
        made = await store.get(made.key)
        end = Condition(type="Complete", status="True", reason="Ended", message="as it should")
        await store.write_status(made.with_status(structs.replace(made.status, conditions=merged((), NOON, end))))

        def refused(it: Webhook) -> bool:
            found = condition_of(it.status.conditions, "Ready")
            return bool(found and found.status == "False" and "secret" in found.message)

        await _until(store, refused)
        assert receiver.told == []
        for each in ALLOW:
            await asyncio.to_thread(cluster.kubectl, "create", *each[:2], "-n", namespace, *each[2:])
        await _until(store, lambda it: it.status.delivered_count == 1)

    asyncio.run(asyncio.wait_for(main(), 120))
    assert len(receiver.told) == 1
    api = KubernetesApi(account)
    assert api.get("Secret", "hook", namespace)
    with pytest.raises(ApiError, match="403"):
        api.get("Secret", "other", namespace)
    with pytest.raises(ApiError, match="403"):
        api.items("Secret", namespace)


async def _until(store: ClusterStore, holds: Callable[[Webhook], bool]) -> None:
    while not holds((await store.listing(WEBHOOK)).items[0]):
        await asyncio.sleep(0.1)
