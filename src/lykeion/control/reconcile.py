"""The decision of a controller: a pure function from a resource and the observed state to the desired state."""

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
class Lookup:
    """Base of questions to something other than the store, such as a registry; subclasses say what the answer is.

    Some ask for something to be so, such as an object in another cluster: asking again changes nothing.
    """

    @property
    def source(self) -> str:
        """What answers. Few are asked at once of one source: they wait for one another, and nobody else for them."""
        return f"what answers {type(self).__name__}"


@dataclass(frozen=True)
class Observed:
    """``children`` are those that the resource owns; ``read`` holds what the last decision asked for.

    The value of a key is the resource, or None if there is none; that of a lookup, its answer, or the LykeionError
    for which there is no answer.
    """

    children: tuple[AnyResource, ...] = ()
    read: Mapping[Key | Lookup, Any] = field(default_factory=dict[Key | Lookup, Any])

    def child(self, name: str) -> AnyResource | None:
        return next((each for each in self.children if each.metadata.name == name), None)


@dataclass(frozen=True)
class Decision:
    """The desired state. ``children`` are all children, None to keep them; ``delete`` deletes the resource itself.

    ``reads`` names what else the reconciler needs: what was not read yet is read, and the reconciler called again.
    ``finalizer`` is whether the resource stays when it is deleted, until it is released; None leaves that as it is.
    """

    status: Any
    children: tuple[AnyResource, ...] | None = None
    events: tuple[Event, ...] = ()
    requeue_after_s: float | None = None
    reads: tuple[Key | Lookup, ...] = ()
    delete: bool = False
    finalizer: bool | None = None


Reconcile = Callable[[AnyResource, Observed, datetime], Decision]


@dataclass(frozen=True)
class ResourceController:
    """Moves resources of ``kind`` towards their spec; ``children`` are the kinds that it creates.

    ``release`` decides for a resource that was deleted and has our finalizer: what is to be removed before it goes.
    """

    kind: AnyKind
    children: tuple[AnyKind, ...]
    reconcile: Reconcile
    release: Reconcile | None = None
