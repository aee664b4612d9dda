"""Where a fleet is kept, and how its parts are opened: cheap to import, since commands need no more."""

import os
from pathlib import Path

from lykeion.control import AnyKind
from lykeion.core import Invalid, data_directory
from lykeion.delivery.experiments import EXPERIMENT
from lykeion.delivery.rollouts import ROLLOUT
from lykeion.resource_api import SocketStore, socket_of

from .store import FleetStore, open_postgres

FLEET_KINDS: dict[str, AnyKind] = {ROLLOUT.name: ROLLOUT, EXPERIMENT.name: EXPERIMENT}
ABSENT = "the device server does not run on this machine; start it: lykeion delivery serve"


class BadState(Invalid):
    """The address of a store that there is not."""


def fleet_directory() -> Path:
    """Where this user's fleet is kept: devices, their reports, and rollouts."""
    return data_directory() / "fleet"


def fleet_file(directory: Path) -> Path:
    """Devices and what they reported."""
    return directory / "fleet.db"


def open_fleet(directory: Path, state: str = "") -> FleetStore:
    """Also while a server runs. ``state``, or ``LYKEION_STATE``, is the address of a PostgreSQL database instead."""
    if address := state or os.environ.get("LYKEION_STATE", ""):
        if not address.startswith(("postgresql://", "postgres://")):
            raise BadState(f"{address[:40]!r} is not the address of a store; it begins with postgresql://")
        return open_postgres(address)
    return FleetStore(fleet_file(directory))


def events_directory(fleet: Path) -> Path:
    """Where events of units are kept, for experiments."""
    return fleet / "events"


def connect_rollouts(directory: Path) -> SocketStore:
    """The rollouts and experiments of the server that runs."""
    return SocketStore(socket_of(directory), FLEET_KINDS, ABSENT)
