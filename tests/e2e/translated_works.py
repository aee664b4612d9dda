"""Works of tests on a real API server, written as their translation says, without the store and controllers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

import httpx
from msgspec import structs

from lykeion.control import AnyResource, Resource
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.objects.translation import ClusterFacts, selector
from lykeion.platform.kubernetes.operator.cluster_facts import keeps_image_volumes
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec, WorkStatus
from lykeion.platform.resources.programs.program import Program

from .kubernetes_api import WAIT_S, WatchEnded
from .kubernetes_cluster import Cluster

IMAGE = "host.local/shell"
USER = 65532


def work(script: str, *, name: str = "embed", completions: int = 1, program: Any = None, **spec: Any) -> Any:
    program = program or Program(command=("sh", "-c", script), image=IMAGE)
    return WORK.new(
        name, WorkSpec(**{"program": program, "completions": completions, "grace_period_seconds": 1, **spec})
    )


@dataclass
class ClusterWork:
    """A Work in a namespace; ``wanted`` is what its controller would ask for."""

    cluster: Cluster
    namespace: str
    wanted: Resource[WorkSpec, WorkStatus]
    facts: ClusterFacts = field(default_factory=ClusterFacts)

    def create(self) -> "ClusterWork":
        metadata = structs.replace(self.wanted.metadata, namespace=self.namespace)
        self.wanted = replace(self.wanted, metadata=metadata)
        for each in reversed(WORKS.objects(self.wanted, self.facts)):
            self.cluster.api.create(each)
        self.reconcile()
        return self

    def change(self, **spec: Any) -> None:
        self.wanted = replace(self.wanted, spec=structs.replace(self.wanted.spec, **spec))
        self.reconcile()

    def reconcile(self) -> AnyResource:
        """As a controller does: apply it if it is not as it is wanted. Returns what was there."""
        there = self.read()
        if (there.spec, there.metadata.labels) != (self.wanted.spec, self.wanted.metadata.labels):
            for each in WORKS.changes(self.objects(), self.wanted, self.facts):
                self._write(each)
        return there

    def read(self) -> AnyResource:
        primary, *others = self.objects()
        return WORKS.resource_of(primary, others)

    def objects(self) -> list[Any]:
        api, name = self.cluster.api, self.wanted.metadata.name
        found = [{"apiVersion": "batch/v1", "kind": "Job", **api.get("Job", name, self.namespace)}]
        pods = api.items("Pod", self.namespace, labels=f"{selector(WORK)},lykeion.github.io/name={name}")
        found += [{"apiVersion": "v1", "kind": "Pod", **each} for each in pods]
        for reason in ("FailedCreate", "FailedMount"):
            events = api.items("Event", self.namespace, fields=f"reason={reason}")
            found += [{**each, "kind": "Event", "regarding": each["involvedObject"]} for each in events]
        return found

    def wait(self, holds: Callable[[WorkStatus], object], *, seconds: float = WAIT_S) -> WorkStatus:
        """The status that ``holds``; on the way its controller applies it when that is due."""
        happened: Queue[None] = Queue()
        over = Event()
        for kind in ("Job", "Pod", "Event"):
            Thread(target=self._follow, args=(kind, seconds, happened, over), daemon=True).start()
        try:
            while True:
                status = self.reconcile().status
                if holds(status):
                    return status
                try:
                    happened.get(timeout=seconds)
                except Empty:
                    raise AssertionError(f"{self.wanted.metadata.name} did not become this: {status}") from None
        finally:
            over.set()

    def _follow(self, kind: str, seconds: float, happened: "Queue[None]", over: Event) -> None:
        ended = suppress(httpx.HTTPError, WatchEnded)  # with the cluster
        with ended, self.cluster.api.watch(kind, self.namespace, seconds=seconds) as states:
            for _ in states:
                if over.is_set():
                    return
                happened.put(None)

    def _write(self, change: Any) -> None:
        api, document, namespace = self.cluster.api, change.document, self.namespace
        name = document["metadata"]["name"]
        if change.verb == "create":
            api.create(document)
        elif change.verb == "delete":
            uid = document["metadata"].get("uid")
            api.delete(document["kind"], name, namespace, **({"preconditions": {"uid": uid}} if uid else {}))
        else:
            api.patch(document["kind"], name, namespace, document, subresource=change.subresource)


def keeps(namespace: str) -> bool:
    """Whether the cluster of $KUBECONFIG keeps image volumes, as the operator finds out."""

    async def asked() -> bool:
        client = ClusterClient(cluster_access())
        try:
            return await keeps_image_volumes(client, namespace)
        finally:
            await client.close()

    return asyncio.run(asked())
