"""What the reports of a fleet say of a rollout, in one interval: the answer to a lookup of its controller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lykeion.control import Lookup
from lykeion.core.odds_ratio_test import FailureTable

from .rollout_resource import HaltRule


@dataclass(frozen=True)
class FleetReports(Lookup):
    """Reports of the interval from ``since`` to ``until``; the answer is a FleetObservation."""

    rollout_uid: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class FleetObservation:
    """Devices are counted by assignment: those of the waves that have begun, whether or not they run the version.
    ``reported`` are those of them that have reported since, ``reachable`` those that also may move, or have moved;
    ``running`` counts them by the version that they run, 0 for none. ``revoked`` is whether the version has been.

    The table of a comparison has the devices that were at risk in the interval, and those of them to which it
    happened. A device is at risk until it happens to it for the first time in the rollout, and is not counted again:
    what happens to the same device again and again is no further evidence (ter Schure, Pérez-Ortiz, Ly, Grünwald:
    The safe logrank test, 2020). Only devices that are drawn into waves are compared: those that a wave names, or its
    rings, are not like the others. The table of a limit has all devices since the start: for ``share``, those
    assigned, and those to which it has happened since they were; for ``above``, those that reported the metric by the
    version, and those whose first report was above.
    """

    until: datetime
    fleet: int
    assigned: int
    reported: int
    reachable: int
    moved: int
    tables: Mapping[HaltRule, FailureTable] = field(default_factory=dict[HaltRule, FailureTable])
    running: Mapping[int, int] = field(default_factory=dict[int, int])
    revoked: bool = False


@dataclass(frozen=True)
class OfferedVersion(Lookup):
    """What a version or alias of a model is in the signed metadata now; the answer is a VersionOffer."""

    model: str
    version: str


@dataclass(frozen=True)
class VersionOffer:
    """``digest`` is that of the version's manifest; ``without_index`` are the embedding spaces of its vectors that no
    index is of, as far as the server knows indexes."""

    number: int
    digest: str
    without_index: tuple[str, ...] = ()


@dataclass(frozen=True)
class EarlierRollout(Lookup):
    """The oldest rollout of a model that is not finished, by name; empty if there is none before this one."""

    model: str
    rollout_uid: str
