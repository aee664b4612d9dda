"""What may run in the process of a fleet's server and share its store, its port and its metrics: the gateway."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter
from prometheus_client.registry import Collector

from lykeion.delivery.experiments import Experiment
from lykeion.delivery.rollouts import Rollout
from lykeion.web_kit import ServerSettings

from .desired import FlagsOf, PublishedCatalogue
from .store import FleetStore


@dataclass(frozen=True)
class FleetParts:
    """``state`` is the address of the store, if it is not in the ``directory``. ``rollouts`` returns those that there
    are, ``experiments`` those that run, from the oldest; the first raises Unavailable just after the start."""

    directory: Path
    state: str
    fleet: FleetStore
    catalogue: PublishedCatalogue
    rollouts: Callable[[], Sequence[Rollout]]
    settings: ServerSettings
    clock: Callable[[], float]
    flags: FlagsOf
    experiments: Callable[[], Sequence[Experiment]] = tuple


class FleetBeside(Protocol):
    """``websockets`` takes over connections that ask for a WebSocket."""

    websockets: type[asyncio.Protocol]

    def routes(self) -> APIRouter: ...

    def collectors(self) -> Sequence[Collector]: ...

    async def run(self) -> None:
        """Until it is cancelled."""
        ...
