"""Where resources are kept: one protocol for this machine and for a cluster's API, with one suite of tests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from lykeion.core import Conflict, NotFound

from .reconcile import Event
from .resource import AnyKind, AnyResource, Key


class NoSuchResource(NotFound):
    """Nothing has this kind and name, or what had it was deleted and made again."""


class Exists(Conflict):
    """The name is taken."""


class Outdated(Conflict):
    """The object was written by another since it was read; read it again."""


class Gone(Conflict):
    """The changes asked for are no longer kept; list again."""


@dataclass(frozen=True)
class Listing:
    """Objects as they were at ``version``, from which a watch sees every later change."""

    items: tuple[AnyResource, ...]
    version: str


@dataclass(frozen=True)
class Change:
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: AnyResource


@dataclass(frozen=True)
class Happened:
    """An event and when it was recorded."""

    at: datetime
    event: Event


class ResourceStore(Protocol):
    """All calls raise Unavailable where the store cannot be reached, read or written."""

    async def get(self, key: Key) -> AnyResource:
        """Raises NoSuchResource."""
        ...

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        """The objects of a kind, in one namespace or in all, by namespace and name."""
        ...

    def watch(self, kind: AnyKind, since: str) -> AsyncIterator[Change]:
        """Every change after a version, as it happens, without an end. Raises Gone."""
        ...

    async def create(self, resource: AnyResource) -> AnyResource:
        """Raises Exists."""
        ...

    async def apply(self, resource: AnyResource) -> AnyResource:
        """Make the object, or give it this spec, these labels and annotations; its status stays.

        ``generation`` counts changes of the spec. What changes nothing writes nothing. Raises ResourceError for a
        change that the kind does not allow; Outdated where ``metadata`` names a version or an object that has gone.
        """
        ...

    async def write_status(self, resource: AnyResource) -> AnyResource:
        """Raises NoSuchResource, and Outdated where the object was written since it was read."""
        ...

    async def delete(self, key: Key, uid: str = "") -> None:
        """Delete an object with all that it owns. Raises NoSuchResource."""
        ...

    async def record(self, resource: AnyResource, event: Event) -> None:
        """Keep an event of a resource, among the last of it."""
        ...

    async def events(self, key: Key) -> tuple[Happened, ...]:
        """The last events of a resource, oldest first; they go with it. Raises NoSuchResource."""
        ...
