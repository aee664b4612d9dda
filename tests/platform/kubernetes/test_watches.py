"""What the operator watches, it watches once, whoever in it wants to know."""

import asyncio
from collections import Counter
from typing import Any

from lykeion.control import ControlLoop
from lykeion.platform import KINDS
from lykeion.platform.composition import CLUSTER_CONTROLLERS
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.local.webhook_sender import WebhookSender
from lykeion.platform.resources.settings.configuration import SECRET

from .memory_cluster import MemoryCluster


class CountingCluster(MemoryCluster):
    def __init__(self) -> None:
        super().__init__("here")
        self.watches: Counter[tuple[str, str]] = Counter()

    def lines(self, path: str, what: str, query: Any, silence_s: float) -> Any:
        self.watches[path.rsplit("/", 1)[-1], query.get("fieldSelector", "") + query.get("labelSelector", "")] += 1
        return super().lines(path, what, query, silence_s)


def test_controllers_and_webhooks_watch_each_kind_once() -> None:
    async def main() -> Counter[tuple[str, str]]:
        cluster = CountingCluster()
        client: Any = cluster
        store = ClusterStore(client, KINDS, TRANSLATIONS, ClusterFacts())
        webhooks = WebhookSender(store, [each.kind for each in CLUSTER_CONTROLLERS])
        loop = ControlLoop(store, CLUSTER_CONTROLLERS, audience=webhooks)
        tasks = [asyncio.create_task(each) for each in (loop.run(), webhooks.run())]
        while not (loop.has_listed and ("webhooks", "") in cluster.watches and ("trainings", "") in cluster.watches):
            await asyncio.sleep(0.01)
            assert not any(each.done() for each in tasks)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
        return cluster.watches

    watches = asyncio.run(asyncio.wait_for(main(), 60))
    assert {what: count for what, count in watches.items() if count > 1 and what[0] != "events"} == {}
    assert SECRET.plural not in {plural for plural, _ in watches}
