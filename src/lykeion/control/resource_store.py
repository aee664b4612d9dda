"""Stores of resources: one protocol for this machine and for a cluster's API, with one test suite."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from lykeion.core import Conflict, NotFound, Unavailable

from .reconcile import Event
from .resource import AnyKind, AnyResource, Key


class NoSuchResource(NotFound):
    """No object has this kind and name, or the object was deleted and created again."""


class NoSuchKind(Unavailable):
    """The store does not have the kind, such as a cluster without its definition."""


class Exists(Conflict):
    """The name is already in use."""


class Outdated(Conflict):
    """The object has been changed since it was read; read it again."""


class Gone(Conflict):
    """The requested changes are no longer kept; list again."""


@dataclass(frozen=True)
class Listing:
    """Objects as they were at ``version``, from which a watch sees every later change."""

    items: tuple[AnyResource, ...]
    version: str
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why other objects cannot be read, by uid: nothing that they own or that runs for them is touched."""


@dataclass(frozen=True)
class Change:
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: AnyResource


@dataclass(frozen=True)
class Happened:
    """An event and the time at which it was recorded."""

    at: datetime
    event: Event


class ResourceStore(Protocol):
    """All methods raise Unavailable if the store cannot be reached, read or written."""

    async def get(self, key: Key) -> AnyResource:
        """Raises NoSuchResource."""
        ...

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        """The objects of a kind, in one namespace or in all, ordered by namespace and name. Raises NoSuchKind."""
        ...

    def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        """Every change after a version, as it happens; never ends. Raises Gone."""
        ...

    async def create(self, resource: AnyResource) -> AnyResource:
        """Raises Exists."""
        ...

    async def apply(self, resource: AnyResource) -> AnyResource:
        """Create the object, or replace its spec, labels and annotations; its status is kept.

        ``generation`` counts changes of the spec. Without changes nothing is written. Raises ResourceError for a
        change that the kind does not allow; Outdated if ``metadata`` names an old version or a deleted object.
        """
        ...

    async def write_status(self, resource: AnyResource) -> AnyResource:
        """Raises NoSuchResource, and Outdated if the object has been changed since it was read."""
        ...

    async def delete(self, key: Key, uid: str = "") -> None:
        """Delete an object and everything that it owns. Raises NoSuchResource."""
        ...

    async def record(self, resource: AnyResource, event: Event) -> None:
        """Record an event of a resource; only its latest events are kept."""
        ...

    async def events(self, key: Key) -> tuple[Happened, ...]:
        """The latest events of a resource, oldest first; they are deleted with it. Raises NoSuchResource."""
        ...
