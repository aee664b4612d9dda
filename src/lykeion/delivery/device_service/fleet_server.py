"""One process that serves a fleet: the repository's files, devices, and the rollouts of models to them."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from lykeion.control import Answers, ControlLoop, ResourceStore, SqliteStore
from lykeion.core import FileLock, Locked, Refused, Unavailable
from lykeion.delivery.device_sessions import forget_old_commands
from lykeion.delivery.experiments import EXPERIMENTS
from lykeion.delivery.experiments.events import EventLog
from lykeion.delivery.flags import MAX_STREAMS, FlagFeed, FlagService, flag_routes
from lykeion.delivery.rollouts import ROLLOUT, ROLLOUTS, Rollout
from lykeion.delivery.tuf import metadata_directory, read_settings, targets_directory
from lykeion.device import MAX_MESSAGE_BYTES
from lykeion.resource_api import resource_api, serving, socket_of
from lykeion.web_kit import (
    Guard,
    Meter,
    Metrics,
    ServerSettings,
    Workers,
    add_metrics_route,
    answer_errors,
    serve_beside,
    service_app,
)

from .desired import PublishedCatalogue, device_flags
from .device_routes import DeviceService, device_routes
from .download_limit import MAX_DOWNLOADS, DownloadLimit, repository_files
from .fleet_beside import FleetBeside, FleetParts
from .fleet_place import FLEET_KINDS, events_directory, open_fleet
from .fleet_resources import FollowedResources, OneNamespace, ServedExperiments, rollout_answers
from .records import DeviceAdmission, forget_old_events, forget_old_logs, forget_rollouts
from .rollout_turn import RolloutTurn, SharedRollouts, carry_in_turn, process_name
from .store import FleetStore, fleet_id

TIDY_S = 3600.0

_log = logging.getLogger("lykeion.delivery")


class FleetIsServed(Refused):
    """Another process serves this fleet already."""


@dataclass(frozen=True)
class FleetServer:
    """``directory`` is the fleet's, ``repository`` that of the signed metadata.

    Rollouts are kept in ``directory``, or where ``rollouts`` says: by a platform, or in a cluster. A rollout to
    another embedding space waits until one of the ``indexes`` that devices search is of it, if they are named.
    """

    directory: Path
    repository: Path
    settings: ServerSettings
    max_downloads: int = MAX_DOWNLOADS
    max_streams: int = MAX_STREAMS
    clock: Callable[[], float] = time.time
    rollouts: SharedRollouts | None = None
    beside: Callable[[FleetParts], FleetBeside] | None = None
    state: str = ""
    indexes: tuple[str, ...] = ()

    async def run(self, host: str, port: int, ready: Callable[[str], object] = lambda url: None) -> None:
        """Until SIGINT, SIGTERM or a request to stop. Raises DeliveryError, FleetIsServed, and what opening
        and listening raise."""
        read_settings(self.repository)
        for part in (metadata_directory(self.repository), targets_directory(self.repository)):
            part.mkdir(parents=True, exist_ok=True)  # before the first version is published
        lock = _locked(self.directory)
        try:
            fleet = open_fleet(self.directory, self.state)
            try:
                async with self._rollouts(fleet) as (rollouts, turn):
                    await self._serve(fleet, rollouts, turn, host, port, ready)
            finally:
                fleet.close()
        finally:
            lock.release()

    async def _serve(
        self,
        fleet: FleetStore,
        rollouts: ResourceStore,
        turn: RolloutTurn | None,
        host: str,
        port: int,
        ready: Callable[[str], object],
    ) -> None:
        stop, known, catalogue = asyncio.Event(), asyncio.Event(), PublishedCatalogue(self.repository)
        followed = FollowedResources[Rollout](ROLLOUT)
        experiments = ServedExperiments(fleet, EventLog(events_directory(self.directory)))
        feed = FlagFeed(fleet, experiments=experiments.on_flags)
        parts = FleetParts(
            self.directory,
            self.state,
            fleet,
            catalogue,
            followed.ordered,
            self.settings,
            self.clock,
            device_flags(fleet, feed),
            experiments.running,
        )
        beside = self.beside(parts) if self.beside else None
        app = fleet_app(self, parts, feed, beside)
        answers = rollout_answers(fleet, catalogue, rollouts, self.indexes)
        carrying = controller_runs(rollouts, answers, experiments.answers())
        async with (
            serving(resource_api(rollouts, FLEET_KINDS, stop.set), socket_of(self.directory)),
            serve_beside(
                app, self.settings, host=host, port=port, websockets=beside.websockets if beside else None
            ) as url,
        ):
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            ready(url)
            more = [beside.run()] if beside else []
            if turn:
                more.append(carry_in_turn(turn, fleet_id(fleet), known, carrying))
            else:
                known.set()
                more += [run() for run in carrying]
            more += [_after(known, followed.run(rollouts)), _after(known, experiments.run(rollouts))]
            await _until(stop, _tidy(fleet, followed, experiments, self.clock), feed.run(), *more)

    @asynccontextmanager
    async def _rollouts(self, fleet: FleetStore) -> AsyncGenerator[tuple[ResourceStore, RolloutTurn | None]]:
        """Where they are kept, and whose turn it is to carry them where others could."""
        if shared := self.rollouts:
            name = process_name(fleet_id(fleet))
            async with shared.open_store() as store, shared.open_turn(name) as turn:
                yield OneNamespace(store, shared.namespace), turn
            return
        store = SqliteStore(self.directory / "rollouts.db", FLEET_KINDS)
        try:
            yield store, None
        finally:
            await store.close()


def controller_runs(
    rollouts: ResourceStore, answers: Answers, of_experiments: Answers
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """Each call begins a loop of its own: one that was ended in the middle of a step would never end that step."""
    both = {**answers, **of_experiments}
    return [
        lambda: ControlLoop(rollouts, [ROLLOUTS], answers, in_turn=True).run(),  # of two of a model only one begins
        lambda: ControlLoop(rollouts, [EXPERIMENTS], both).run(),
    ]


def fleet_app(server: FleetServer, parts: FleetParts, feed: FlagFeed, beside: FleetBeside | None = None) -> FastAPI:
    """Devices and clients have keys of their own, and the repository is public: no token is asked for."""
    settings = replace(server.settings, max_body_bytes=MAX_MESSAGE_BYTES, open_address=True)
    workers, metrics = Workers(settings.threads, settings.waiting), Metrics(*(beside.collectors() if beside else ()))
    app = service_app("Lykeion device server", "Signed models, and what devices are to run.", workers)
    app.include_router(
        device_routes(
            DeviceService(
                DeviceAdmission(parts.fleet, parts.clock),
                parts.catalogue,
                parts.rollouts,
                workers,
                settings.proxies,
                parts.flags,
                parts.experiments,
            )
        )
    )
    app.include_router(flag_routes(FlagService(parts.fleet, feed, workers, server.max_streams)))
    if beside:
        app.include_router(beside.routes())
    add_metrics_route(app.router, metrics, workers)
    app.mount("/metadata", repository_files(metadata_directory(server.repository)))
    app.mount("/targets", DownloadLimit(repository_files(targets_directory(server.repository)), server.max_downloads))
    app.add_api_route("/healthz", _healthy, include_in_schema=False)
    answer_errors(app)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Meter, metrics=metrics)
    return app


async def _healthy() -> dict[str, str]:
    return {"status": "ok"}


async def _tidy(
    fleet: FleetStore,
    followed: FollowedResources[Rollout],
    experiments: ServedExperiments,
    clock: Callable[[], float],
) -> None:
    while True:
        with suppress(Unavailable):
            await asyncio.to_thread(partial(forget_old_events, fleet, clock()))
            await asyncio.to_thread(partial(forget_old_logs, fleet, clock()))
            await asyncio.to_thread(partial(forget_old_commands, fleet, clock()))
            kept = [each.metadata.uid for each in followed.ordered()]
            await asyncio.to_thread(partial(forget_rollouts, fleet, kept, clock()))
        await experiments.tidy(clock())
        await asyncio.sleep(TIDY_S)


async def _after(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    try:
        await event.wait()
        await work
    finally:
        work.close()  # if it was not begun


async def _until(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Raises the error that ended a part."""
    tasks = [asyncio.ensure_future(each) for each in parts]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, stopped], return_when="FIRST_COMPLETED")
        for task in done - {stopped}:
            task.result()
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.wait([*tasks, stopped])


def _locked(directory: Path) -> FileLock:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(directory / "lock")
    try:
        lock.acquire(wait_s=0, name="session")
    except Locked as held:
        raise FleetIsServed(f"{directory}: process {held.pid} serves this fleet already") from None
    return lock
