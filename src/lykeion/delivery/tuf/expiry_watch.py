"""Metadata expire, so that nobody can hold devices at an old state: signing in time, and seeing what is due."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from lykeion.delivery.errors import KeyUnavailable

from .delivery_settings import DeliverySettings, read_settings
from .editions import Edition, Press, next_edition
from .root_ceremony import RootProgress, progress
from .signing_clock import was_signed_later
from .tuf_repository import Clock, opened, wall_clock
from .tuf_state import TufState, read_state
from .unneeded_files import remove_unneeded

RENEW = 1 / 2
"""The share of its validity that is left when a role is signed again."""
WARN = 1 / 4
"""The share that is left when ``status`` warns: by then ``refresh`` has missed its turns."""


@dataclass(frozen=True)
class RoleStatus:
    """``left`` is the time until it expires, negative afterwards; ``due`` says that somebody must act: too little is
    left, or more than there can be."""

    role: str
    version: int
    expires: datetime
    left: timedelta
    due: bool


@dataclass(frozen=True)
class RepositoryStatus:
    roles: tuple[RoleStatus, ...]
    staged: RootProgress | None

    @property
    def due(self) -> bool:
        return not self.roles or any(role.due for role in self.roles)


@dataclass(frozen=True)
class Refreshed:
    """``problems`` are of roles that should have been signed again and were not, since their keys are elsewhere."""

    roles: tuple[str, ...]
    problems: tuple[str, ...]
    removed: tuple[str, ...]


def status(home: Path, *, clock: Clock = wall_clock) -> RepositoryStatus:
    """Which metadata expire when; none before the first root is signed. Raises DeliveryError, RepositoryDamaged."""
    settings, staged = read_settings(home), progress(home)
    if staged and staged.version == 1:
        return RepositoryStatus((), staged)
    return RepositoryStatus(tuple(role_statuses(read_state(home), settings, clock())), staged)


def role_statuses(state: TufState, settings: DeliverySettings, now: datetime) -> Iterator[RoleStatus]:
    for role, metadata in state.every():
        left = metadata.signed.expires - now
        due = left < WARN * timedelta(days=settings.days_of(role)) or was_signed_later(role, metadata, settings, now)
        yield RoleStatus(role, metadata.signed.version, metadata.signed.expires, left, due)


def refresh(home: Path, *, clock_is_right: bool = False, clock: Clock = wall_clock) -> Refreshed:
    """Sign the timestamp again, and what is past half of its validity, as far as keys are here; remove old files.

    The root is not touched: that takes several people. Raises KeyUnavailable if the timestamp cannot be signed;
    WrongClock if it was signed later than now, unless ``clock_is_right``, and was wrong then: what was signed by it
    is signed again.
    """
    with opened(home, clock=clock) as repository:
        state, press = repository.state(clock_is_right=clock_is_right), repository.press
        wanted = [role for role in state.roles if _is_due(role, state.roles[role], press)]
        problems: list[str] = []
        changed: dict[str, Targets] = {}
        for role in wanted:
            try:
                _edition(state, press, {role: state.roles[role].signed})
                changed[role] = state.roles[role].signed
            except KeyUnavailable as error:
                problems.append(str(error))
        edition = _edition(state, press, changed)
        repository.commit(edition)
        removed = remove_unneeded(repository, edition.state)
        signed = [role for role, each in edition.state.every() if each.signed.version > _version(state, role)]
        return Refreshed(tuple(signed), tuple(problems), tuple(removed))


def _edition(state: TufState, press: Press, changed: dict[str, Targets]) -> Edition:
    return next_edition(state, press, changed, new_snapshot=_is_due(Snapshot.type, state.snapshot, press))


def _is_due(role: str, metadata: Metadata[Any], press: Press) -> bool:
    if was_signed_later(role, metadata, press.settings, press.now):
        return True
    return metadata.signed.expires - press.now < RENEW * timedelta(days=press.settings.days_of(role))


def _version(state: TufState, role: str) -> int:
    named: dict[str, Metadata[Any]] = {
        Root.type: state.root,
        Timestamp.type: state.timestamp,
        Snapshot.type: state.snapshot,
        **state.roles,
    }
    return named[role].signed.version
