"""Two clusters in memory, with a control loop in each, for tests of steps in other clusters."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from msgspec import structs

from lykeion.control import Condition, ControlLoop, Key, merged
from lykeion.platform.composition import KINDS
from lykeion.platform.controllers.pipeline_run_controller import PIPELINE_RUNS
from lykeion.platform.kubernetes.api.list_watch import WatchTimes
from lykeion.platform.kubernetes.api.server_answers import ClusterError
from lykeion.platform.kubernetes.other_clusters.cluster_reach import ANSWER_S, ClusterReach
from lykeion.platform.kubernetes.other_clusters.remote_runs import RemoteRuns, runs_through
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.plain_kinds.work import WORK
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.settings.cluster_profile import AllowedCluster, ClusterProfileSpec

from .memory_cluster import Death, MemoryCluster, MortalClient

SERVER = "https://there"
PROFILE = ClusterProfileSpec(clusters=(AllowedCluster(name="gke", server=SERVER, namespaces=("shop",)),))
KEY = Key("PipelineRun", "shop", "night-1")
AWAY = ClusterError("https://there does not answer")


def kubeconfig(**user: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": SERVER}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "work"}}],
        "current-context": "x",
    }


@dataclass
class TwoClusters:
    """A control loop in each; ``now`` is the clock of back-offs."""

    here: MemoryCluster = field(default_factory=lambda: MemoryCluster("here"))
    there: MemoryCluster = field(default_factory=lambda: MemoryCluster("there", "work"))
    now: float = 0.0
    profile: ClusterProfileSpec = PROFILE
    death: Death = field(default_factory=Death)
    connected: list[Any] = field(default_factory=list[Any])
    answer_s: float = ANSWER_S
    lost_token: str = ""
    """Whoever comes with it waits for ever."""

    def __post_init__(self) -> None:
        self.give(kubeconfig())
        self.store = store_of(self.here)

    def give(self, document: Any, namespace: str = "shop") -> None:
        """As the Secret's content."""
        data = {"gke": base64.b64encode(yaml.safe_dump(document).encode()).decode()}
        path = f"/api/v1/namespaces/{namespace}/secrets/lykeion-clusters"
        self.here.objects[path] = {"metadata": {"name": "lykeion-clusters", "uid": "s"}, "data": data}

    def reach(self) -> ClusterReach:
        def connect(access: Any) -> Any:
            self.connected.append(access)
            if access.user.token == self.lost_token:
                return MortalClient(MemoryCluster("there", "work", silent=True), self.death)
            return MortalClient(self.there, self.death)

        times = WatchTimes(first_back_off_s=1, last_back_off_s=8, random=lambda: 1.0)
        home: Any = MortalClient(self.here, self.death)
        return ClusterReach(
            home, lambda: self.profile, connect, times=times, now=lambda: self.now, answer_s=self.answer_s
        )

    def remote(self) -> RemoteRuns:
        return RemoteRuns(self.reach(), lambda: "home-1", runs_through(self.here))  # type: ignore[arg-type]

    async def apply(self, **spec: Any) -> None:
        step = PipelineStep(name="train", program=Program(command=("train",)), cluster="gke")
        run = PIPELINE_RUN.new(KEY.name, PipelineRunSpec(steps=(step,), **spec), namespace=KEY.namespace)
        await self.store.create(run)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """An operator in each."""
        store = store_of(MortalClient(self.here, self.death))
        here = ControlLoop(store, [PIPELINE_RUNS], self.remote().answers(), set_finalizer=store.set_finalizer)
        there = ControlLoop(store_of(self.there), [PIPELINE_RUNS])
        tasks = [asyncio.create_task(each.run()) for each in (here, there)]
        try:
            yield
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def succeed(self) -> None:
        """Let the program there end well."""
        await self.there.until(lambda: self.there.kept("works"))
        store = store_of(self.there)
        (work,) = (await store.listing(WORK)).items
        ended = merged((), work.metadata.creation_timestamp, Condition(type="Complete", status="True"))  # type: ignore[arg-type]
        await store.write_status(work.with_status(structs.replace(work.status, conditions=ended)))

    def is_true(self, type_: str) -> bool:
        runs = self.here.kept("pipelineruns")
        conditions = [each for run in runs for each in run.get("status", {}).get("conditions", ())]
        return any(each["type"] == type_ and each["status"] == "True" for each in conditions)


def store_of(cluster: Any) -> ClusterStore:
    """Works are objects of their own here, and not views of Jobs."""
    return ClusterStore(cluster, KINDS)


def with_both(use: Callable[[TwoClusters], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await use(TwoClusters(**options))

    asyncio.run(main())
