"""One process that serves a fleet: the repository's files, devices, and the rollouts of models to them."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from lykeion.control import Answers, Change, ControlLoop, Listing, SqliteStore, follow
from lykeion.core import FileLock, Locked, NotFound, Refused, Unavailable
from lykeion.delivery.experiments import EXPERIMENTS, Experiment
from lykeion.delivery.experiments.events import EventLog
from lykeion.delivery.flags import MAX_STREAMS, FlagFeed, FlagService, flag_routes
from lykeion.delivery.rollouts import (
    ROLLOUT,
    ROLLOUTS,
    EarlierRollout,
    FleetObservation,
    FleetReports,
    OfferedVersion,
    Rollout,
    VersionOffer,
    has_ended,
)
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

from .device_admission import DeviceAdmission
from .device_routes import DeviceService, device_routes
from .download_limit import MAX_DOWNLOADS, DownloadLimit, repository_files
from .fleet_beside import FleetBeside, FleetParts
from .fleet_observing import observe
from .fleet_place import KINDS, events_directory, open_fleet
from .fleet_records import forget_old_events
from .fleet_store import FleetStore
from .published_catalogue import PublishedCatalogue
from .served_experiments import ServedExperiments

TIDY_S = 3600.0

_log = logging.getLogger("lykeion.delivery")


class FleetIsServed(Refused):
    """Another process serves this fleet already."""


@dataclass(frozen=True)
class FleetServer:
    """``directory`` is the fleet's, ``repository`` that of the signed metadata."""

    directory: Path
    repository: Path
    settings: ServerSettings
    max_downloads: int = MAX_DOWNLOADS
    max_streams: int = MAX_STREAMS
    clock: Callable[[], float] = time.time
    beside: Callable[[FleetParts], FleetBeside] | None = None

    async def run(self, host: str, port: int, ready: Callable[[str], object] = lambda url: None) -> None:
        """Until SIGINT, SIGTERM or a request to stop. Raises DeliveryError, FleetIsServed, and what opening
        and listening raise."""
        read_settings(self.repository)
        for part in (metadata_directory(self.repository), targets_directory(self.repository)):
            part.mkdir(parents=True, exist_ok=True)  # before the first version is published
        lock = _locked(self.directory)
        fleet, rollouts = open_fleet(self.directory), SqliteStore(self.directory / "rollouts.db", KINDS)
        stop = asyncio.Event()
        try:
            followed = FollowedRollouts()
            catalogue = PublishedCatalogue(self.repository)
            experiments = ServedExperiments(fleet, EventLog(events_directory(self.directory)))
            feed = FlagFeed(fleet)
            parts = FleetParts(
                self.directory, fleet, catalogue, followed.ordered, self.settings, self.clock, experiments.running
            )
            beside = self.beside(parts) if self.beside else None
            app = fleet_app(self, fleet, catalogue, followed.ordered, experiments.running, feed, beside)
            answers = {**rollout_answers(fleet, catalogue, followed), **experiments.answers()}
            loop = ControlLoop(rollouts, [ROLLOUTS, EXPERIMENTS], answers)
            api = resource_api(rollouts, KINDS, stop.set)
            async with (
                serving(api, socket_of(self.directory)),
                serve_beside(
                    app, self.settings, host=host, port=port, websockets=beside.websockets if beside else None
                ) as url,
            ):
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, stop.set)
                ready(url)
                tidy = _tidy(fleet, experiments, self.clock)
                more = [feed.run(), beside.run()] if beside else [feed.run()]
                await _until(stop, loop.run(), followed.run(rollouts), experiments.run(rollouts), tidy, *more)
        finally:
            await rollouts.close()
            fleet.close()
            lock.release()


class NotListed(Unavailable):
    """The rollouts have not been read yet: nobody can be told what to run."""


class FollowedRollouts:
    """The rollouts of the store, always at hand for requests of devices."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Rollout] = {}
        self._listed = False

    def ordered(self) -> Sequence[Rollout]:
        """From the oldest. Raises NotListed."""
        if not self._listed:
            raise NotListed("the server has just started; ask again in a moment")
        return sorted(
            self._by_uid.values(), key=lambda each: (str(each.metadata.creation_timestamp), each.metadata.uid)
        )

    def of_uid(self, uid: str) -> Rollout:
        """Raises NotFound."""
        if uid not in self._by_uid:
            raise NotFound(f"there is no rollout with the uid {uid}")
        return self._by_uid[uid]

    async def run(self, store: SqliteStore) -> None:
        await follow(store, ROLLOUT, self._replace, self._notice)

    def _replace(self, listing: Listing) -> None:
        self._by_uid = {each.metadata.uid: each for each in listing.items}
        self._listed = True

    def _notice(self, change: Change) -> None:
        if change.type == "DELETED":
            self._by_uid.pop(change.resource.metadata.uid, None)
        else:
            self._by_uid[change.resource.metadata.uid] = change.resource


def rollout_answers(fleet: FleetStore, catalogue: PublishedCatalogue, followed: FollowedRollouts) -> Answers:
    """What the controller of rollouts looks up."""

    async def reports(asked: FleetReports) -> FleetObservation:
        rollout = followed.of_uid(asked.rollout_uid)
        return await asyncio.to_thread(observe, fleet, catalogue, rollout, asked.since, asked.until)

    async def offer(asked: OfferedVersion) -> VersionOffer | None:
        return await asyncio.to_thread(catalogue.offer, asked.model, asked.version)

    async def earlier(asked: EarlierRollout) -> str:
        for each in followed.ordered():
            if each.metadata.uid == asked.rollout_uid:
                return ""
            waits = each.status.wave == 0 and each.status.reason == "NotPublished"
            if each.spec.model == asked.model and not has_ended(each.status) and not waits:
                return each.metadata.name
        return ""

    return {FleetReports: reports, OfferedVersion: offer, EarlierRollout: earlier}


def fleet_app(
    server: FleetServer,
    fleet: FleetStore,
    catalogue: PublishedCatalogue,
    rollouts: Callable[[], Sequence[Rollout]],
    experiments: Callable[[], Sequence[Experiment]],
    feed: FlagFeed,
    beside: FleetBeside | None = None,
) -> FastAPI:
    """Devices and clients have keys of their own, and the repository is public: no token is asked for."""
    settings = replace(server.settings, max_body_bytes=MAX_MESSAGE_BYTES, open_address=True)
    workers, metrics = Workers(settings.threads, settings.waiting), Metrics(*(beside.collectors() if beside else ()))
    app = service_app("Lykeion device server", "Signed models, and what devices are to run.", workers)
    app.include_router(
        device_routes(
            DeviceService(
                DeviceAdmission(fleet, server.clock), catalogue, rollouts, workers, settings.proxies, experiments
            )
        )
    )
    app.include_router(flag_routes(FlagService(fleet, feed, workers, server.max_streams)))
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


async def _tidy(fleet: FleetStore, experiments: ServedExperiments, clock: Callable[[], float]) -> None:
    while True:
        with suppress(Unavailable):
            await asyncio.to_thread(partial(forget_old_events, fleet, clock()))
        await experiments.tidy(clock())
        await asyncio.sleep(TIDY_S)


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
