"""The platform in a cluster as one process: store, controllers and Lease, until it is stopped or the Lease lost."""

import asyncio
import logging
import signal
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import cast

from lightkube.config.kubeconfig import SingleConfig

from lykeion.control import AnyKind, ControlLoop, ResourceController
from lykeion.core import Refused, Unavailable
from lykeion.platform.kubernetes.api import ClusterClient, RequestRate, WatchAges, WatchTimes
from lykeion.platform.kubernetes.objects import ClusterFacts
from lykeion.platform.kubernetes.other_clusters import ClusterReach, RemoteRuns, runs_through
from lykeion.platform.kubernetes.store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.local.webhook_sender import WebhookSender
from lykeion.web_kit import serve_beside

from .cluster_answers import cluster_answers, pods_of
from .cluster_facts import ProfileInUse, keeps_image_volumes, read_facts
from .lease_election import LeaseElection, LeaseTimes
from .operator_health import SETTINGS, health_app
from .operator_metrics import OperatorMetrics

LEASE = "lykeion-operator"
WORKERS = 16
"""Steps at a time, of which most wait for the API server or a registry."""
THREADS = 32
"""Of questions to registries and Git, of which those to one that is silent hold some."""
OLDEST = (1, 33)
"""Of Kubernetes."""
REST_S = 1.0
"""Jobs and pods change several times a second as they begin and end; the status of their owner need not."""

_log = logging.getLogger("lykeion.kubernetes")


@dataclass(frozen=True)
class OperatorSettings:
    """``namespaces`` limits what it works on; ``namespace`` is its own, of the Lease; ``port`` 0 is any free one.

    ``image`` is its own image, for programs without one; ``pod`` names this process in events and in the Lease;
    ``sweep_s`` is the time between two looks at what was left in other clusters.
    """

    namespaces: tuple[str, ...] = ()
    namespace: str = "lykeion-system"
    host: str = "0.0.0.0"  # noqa: S104
    port: int = 8080
    image: str = ""
    pod: str = "lykeion"
    lease: LeaseTimes = field(default_factory=LeaseTimes)
    sweep_s: float = 300.0


class ClusterPlatform:
    """The platform of ``controllers`` in the cluster that ``access`` names."""

    def __init__(
        self,
        access: SingleConfig,
        kinds: Mapping[str, AnyKind],
        controllers: Sequence[ResourceController],
        settings: OperatorSettings,
    ) -> None:
        self._settings, self._kinds, self._controllers = settings, kinds, controllers
        self._ages, self._stop, self._standby = WatchAges(), asyncio.Event(), False
        self._metrics = OperatorMetrics(self._ages, lambda: self._loop.waiting if self._loop else 0, self._leads)
        self._lease_client = ClusterClient(access, RequestRate(), self._metrics.requested)
        self._client = ClusterClient(access, RequestRate(), self._metrics.requested, self._leads)
        identity = f"{settings.pod}_{uuid.uuid4()}"
        self._lease = LeaseElection(self._lease_client, settings.namespace, LEASE, identity, settings.lease)
        self._loop: ControlLoop | None = None

    async def run(self, ready: Callable[[str], object] = lambda url: None) -> None:
        """Run until SIGINT or SIGTERM. Raises LeaseLost, and the error that ended a part of the platform.

        ``ready`` is called with the URL of /healthz, /readyz and /metrics. Call it in the main thread.
        """
        settings = self._settings
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._client.close)
            stack.push_async_callback(self._lease_client.close)
            app = health_app(self._metrics.text, self._ages, self._unready)
            url = await stack.enter_async_context(serve_beside(app, SETTINGS, host=settings.host, port=settings.port))
            ready(url)
            await self._until_stopped()

    async def _until_stopped(self) -> None:
        """The Lease is released when all has ended that writes."""
        leading, stopped = asyncio.create_task(self._lead()), asyncio.create_task(self._stop.wait())
        await asyncio.wait([leading, stopped], return_when="FIRST_COMPLETED")
        stopped.cancel()
        leading.cancel()
        with suppress(asyncio.CancelledError):
            await leading

    async def _lead(self) -> None:
        facts = await self._facts()
        self._standby = True
        await self._lease.acquire()
        store = ClusterStore(
            self._client,
            self._kinds,
            TRANSLATIONS,
            facts,
            namespaces=self._settings.namespaces,
            instance=self._settings.pod,
            ages=self._ages,
        )
        profile = ProfileInUse(store, facts)
        others = self._other_clusters(profile)
        try:
            await self._work(store, profile, others)
        finally:
            await others.reach.close()
            await store.close()
            await self._lease.release()

    def _other_clusters(self, profile: ProfileInUse) -> RemoteRuns:
        def connect(access: SingleConfig) -> ClusterClient:
            return ClusterClient(access, RequestRate(), may_write=self._leads)

        inside = self._settings.namespaces
        reach = ClusterReach(self._client, lambda: profile.facts.profile, connect, inside)
        return RemoteRuns(reach, lambda: profile.uid, runs_through(self._client))

    async def _work(self, store: ClusterStore, profile: ProfileInUse, others: RemoteRuns) -> None:
        """Raises the error that ended a part; cancels the others."""
        webhooks = WebhookSender(store, [each.kind for each in self._controllers])
        answers = cluster_answers(pods_of(self._client), lambda: profile.facts.profile.registry_prefix)
        self._loop = ControlLoop(
            store,
            self._controllers,
            {**answers, **others.answers()},
            observer=self._metrics.stepped,
            rest_s=REST_S,
            workers=WORKERS,
            set_finalizer=store.set_finalizer,
            audience=webhooks,
        )
        runs = (
            self._lease.keep(),
            _after(profile.listed, self._loop.run),
            webhooks.run(),
            profile.run(),
            profile.keep_read(lambda: self._read_facts(profile.facts)),
            _after(profile.listed, store.keep),
            _after(profile.listed, lambda: others.keep_swept(self._settings.sweep_s)),
        )
        parts = [asyncio.ensure_future(each) for each in runs]
        try:
            await asyncio.wait(parts, return_when="FIRST_COMPLETED")
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise _first(result)

    async def _facts(self) -> ClusterFacts:
        failures = 0
        while True:
            try:
                return _supported(await self._read_facts())
            except (Unavailable, Refused) as error:
                failures += 1
                _log.warning("%s; asking again", error)
                await asyncio.sleep(WatchTimes().back_off_s(failures))

    async def _read_facts(self, known: ClusterFacts | None = None) -> ClusterFacts:
        """What the server did not keep of a Job, or is of another version, is asked again. The Lease is not needed
        for what is not stored.
        """
        facts = await read_facts(self._client, self._settings.image)
        if known and known.version == facts.version and known.image_volumes:
            return replace(facts, image_volumes=True)
        namespace = next(iter(self._settings.namespaces), self._settings.namespace)
        return replace(facts, image_volumes=await keeps_image_volumes(self._lease_client, namespace))

    def _leads(self) -> bool:
        return self._lease.holds

    def _unready(self) -> str:
        """One that waits for the Lease is ready: else a rollout would wait for it, and it for the one before."""
        if not self._standby:
            return "the API server was not reached yet"
        return "" if self._loop is None or self._loop.has_listed else "the objects are being read"


def _first(error: Exception) -> Exception:
    """Of several tasks of one part that ended together."""
    if isinstance(error, ExceptionGroup):
        return _first(cast(ExceptionGroup[Exception], error).exceptions[0])
    return error


def _supported(facts: ClusterFacts) -> ClusterFacts:
    if facts.version < OLDEST:
        _log.warning("Kubernetes %d.%d is older than %d.%d, the oldest that is tested", *facts.version, *OLDEST)
    return facts


async def _after(event: asyncio.Event, run: Callable[[], Awaitable[None]]) -> None:
    await event.wait()
    await run()
