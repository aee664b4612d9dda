"""Controllers of tests in a cluster, in this process."""

import asyncio
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lykeion.control import ControlLoop, ResourceController
from lykeion.platform.answering.model_lookup import no_digest
from lykeion.platform.composition import KINDS
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.api.request_rate import RequestRate
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.installing.operator_manifests import (
    NAMESPACE,
    OPERATOR,
    Installation,
    operator_objects,
)
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.operator.cluster_answers import cluster_answers, pods_of
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.lookups import ImageDigest

from .kubernetes_cluster import Cluster


def operator_account(cluster: Cluster) -> Path:
    """A kubeconfig with no more rights than an installation gives the operator."""
    for each in operator_objects(Installation()):
        if each["kind"] in ("Namespace", "ServiceAccount") or each["apiVersion"].startswith("rbac."):
            cluster.api.apply(each)
    return cluster.kubeconfig_of_account(OPERATOR, NAMESPACE)


@contextmanager
def cluster_controllers(
    cluster: Cluster, namespace: str, controllers: Sequence[ResourceController], facts: ClusterFacts
) -> Generator[None]:
    """Controllers of one namespace in a thread, with an installed operator's rights, until the end of the test."""
    started, loop, tasks = threading.Event(), asyncio.new_event_loop(), list[asyncio.Task[None]]()

    async def run() -> None:
        client = ClusterClient(cluster_access(), RequestRate(per_s=1000, burst=1000))
        store = ClusterStore(client, KINDS, TRANSLATIONS, facts, namespaces=[namespace])

        answers = dict(cluster_answers(pods_of(client), lambda: facts.profile.registry_prefix))
        answers[ImageDigest] = no_digest  # images of this machine are in no registry
        tasks.append(asyncio.create_task(ControlLoop(store, controllers, answers).run()))
        started.set()
        try:
            await tasks[0]
        except asyncio.CancelledError:
            pass
        finally:
            await store.close()
            await client.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(operator_account(cluster)))
        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        assert started.wait(30)
    yield
    loop.call_soon_threadsafe(tasks[0].cancel)
    thread.join(30)
    loop.close()
