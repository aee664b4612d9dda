"""The platform on this machine as one process: store, controllers, supervisor and API, until asked to stop."""

import asyncio
import os
import signal
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lykeion import images
from lykeion.control import (
    Answers,
    AnyKind,
    AnyResource,
    ControlLoop,
    NoSuchResource,
    ResourceController,
    SqliteStore,
)
from lykeion.core import FileLock, Locked, Refused, Unavailable, Unsupported, core_count, usable_cores
from lykeion.platform.answering.count_lookups import ReplicaCounter, prometheus_counts
from lykeion.platform.answering.model_lookup import find_digest, find_model, no_digest
from lykeion.platform.answering.source_lookup import SourceLookup
from lykeion.platform.lookups import (
    ClusterAllowed,
    GroupCores,
    ImageDigest,
    ModelVersion,
    PrometheusCounts,
    ReplicaCounts,
    RouteCounts,
    SourceDigest,
)
from lykeion.platform.resources.runs import TRAINING, run_volume
from lykeion.resource_api import resource_api, serving, socket_of

from .accelerators import find_accelerators
from .artifact_sweep import ArtifactSweep
from .connecting import PlatformError
from .machine_profile import keep_profile
from .metrics_file import METRICS_FILE
from .output_subresources import output_subresources
from .processes.memory_cgroup import delegated_cgroup
from .proxy.proxy_settings import TlsListener
from .supervision.machine_room import LocalMachine
from .supervision.proxy_control import ProxyControl, proxy_settings
from .supervision.supervisor import Supervisor
from .webhook_sender import WebhookSender


class AlreadyRuns(Refused):
    """Another platform is already running in the directory."""


def this_machine() -> LocalMachine:
    """Cores, memory and accelerators, and the default environment and working directory of programs.

    Programs of this Python installation, such as ``lykeion``, come first in ``PATH``. Where there are accelerators, a
    program that asks for none sees none.
    """
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    accelerators = find_accelerators(visible=os.environ.get("CUDA_VISIBLE_DEVICES"))
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if accelerators else {}
    return LocalMachine(
        core_count(),
        memory_bytes,
        {**os.environ, "PATH": path, **hidden},
        str(Path.cwd()),
        usable_cores(),
        accelerators,
        delegated_cgroup(),
        images.can_start_images(),
    )


class LocalPlatform:
    """The platform in ``directory``, with ``controllers``.

    ``port`` is that of the proxy; by default that of the last time, and the first time a free one. ``elsewhere`` is
    where it listens for other machines, if it does.
    Raises AlreadyRuns, ResourceStoreError, ProxySettingsError, SettingsError.
    """

    def __init__(
        self,
        directory: Path,
        kinds: dict[str, AnyKind],
        controllers: Sequence[ResourceController],
        machine: LocalMachine,
        port: int | None = None,
        elsewhere: TlsListener | None = None,
    ) -> None:
        self._directory = directory
        self._lock, self._machine = locked(directory), machine
        self.store = SqliteStore(directory / "state.db", kinds)
        proxy = ProxyControl(directory / "proxy", proxy_settings(directory / "proxy", port, elsewhere))
        self._supervisor = Supervisor(self.store, directory, machine, proxy)
        answers: Answers = {
            ModelVersion: find_model,
            GroupCores: self._supervisor.cores_of,
            RouteCounts: proxy.counts,
            PrometheusCounts: prometheus_counts,
            ReplicaCounts: ReplicaCounter(self._supervisor.replicas_of).counts,
            SourceDigest: SourceLookup().find,
            ImageDigest: find_digest if machine.starts_images else no_digest,
            ClusterAllowed: _no_other_cluster,
        }
        self._webhooks = WebhookSender(self.store, [each.kind for each in controllers])
        self._loop = ControlLoop(self.store, controllers, answers, audience=self._webhooks)
        self._sweep = ArtifactSweep(self.store, [each.kind for each in controllers])
        self._stop = asyncio.Event()
        output = output_subresources(self.store, self._supervisor.log_of, self._metrics_of)
        self._api = resource_api(self.store, kinds, self._stop.set, output)

    async def run(self, ready: Callable[[Path], object] = lambda path: None) -> None:
        """Run until SIGINT, SIGTERM or a request to stop; then stop the programs, which start again at the next run.

        ``ready`` is called with the path of the socket once requests are answered. Call it in the main thread.
        """
        path = socket_of(self._directory)
        try:
            with suppress(Unavailable):  # such as a full disk, which what follows reports and endures
                await keep_profile(self.store, self._machine)
            async with serving(self._api, path):
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, self._asked_to_stop)
                ready(path)
                await self._until_stopped()
        finally:
            await self.store.close()
            self._lock.release()

    async def _until_stopped(self) -> None:
        """Raises the error that ended a part of the platform."""
        parts = [
            asyncio.create_task(each.run()) for each in (self._loop, self._webhooks, self._sweep, self._supervisor)
        ]
        stopped = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([*parts, stopped], return_when="FIRST_COMPLETED")
        if stopped in done:
            for task in parts[:-1]:
                task.cancel()
            await self._supervisor.shut_down()
        for task in (*parts, stopped):
            task.cancel()
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def _asked_to_stop(self) -> None:
        """At the first signal. A second one ends the process immediately; the next platform finds its programs."""
        self._stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _metrics_of(self, resource: AnyResource) -> Path | None:
        if resource.kind is not TRAINING:
            return None
        run = self._supervisor.volume(resource.metadata.namespace, run_volume(resource))
        if not run:
            raise NoSuchResource(f"{resource.key} has no run directory yet: it has not begun")
        return Path(run) / METRICS_FILE


def locked(directory: Path) -> FileLock:
    """The lock of the platform in a directory, which is made if it is missing. Raises AlreadyRuns, PlatformError."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PlatformError(f"{directory}: cannot be made ({error.strerror})") from None
    lock = FileLock(directory / "lock")
    try:
        lock.acquire(wait_s=0, name="session")
    except Locked as held:
        raise AlreadyRuns(f"the platform runs already, as process {held.pid}; end it: lykeion down") from None
    return lock


async def _no_other_cluster(asked: ClusterAllowed) -> bool:
    raise Unsupported(f"the cluster {asked.cluster}: steps on this machine run here; apply the pipeline to a cluster")
