"""What a controller decides: a pure function from a resource and what is observed to what should be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .resource import AnyKind, AnyResource, Key


@dataclass(frozen=True)
class Event:
    """Something that happened to a resource; ``reason`` is one word in CamelCase."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Observed:
    """``children`` are those that the resource owns; ``read`` is what the last decision asked for."""

    children: tuple[AnyResource, ...] = ()
    read: Mapping[Key, AnyResource | None] = field(default_factory=dict[Key, AnyResource | None])

    def child(self, name: str) -> AnyResource | None:
        return next((each for each in self.children if each.metadata.name == name), None)


@dataclass(frozen=True)
class Decision:
    """What should be. ``children`` are all of them, or None to leave what there is; ``delete`` is for the resource.

    ``reads`` names resources of others that the next call needs: they are read, and it follows at once.
    """

    status: Any
    children: tuple[AnyResource, ...] | None = None
    events: tuple[Event, ...] = ()
    requeue_after_s: float | None = None
    reads: tuple[Key, ...] = ()
    delete: bool = False


Reconcile = Callable[[AnyResource, Observed, datetime], Decision]


@dataclass(frozen=True)
class ResourceController:
    """Carries resources of ``kind`` towards their spec; ``children`` are the kinds that it makes."""

    kind: AnyKind
    children: tuple[AnyKind, ...]
    reconcile: Reconcile
