"""What a connection needs of the hub that has it, and what the hub's parts need of a connection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lykeion.device.conversation import AnswerFrame, QueryFrame

from .gateway_metrics import GatewayMetrics
from .group_broadcasts import GroupBroadcasts
from .message_inbox import MessageInbox
from .session_writer import SessionWriter


class Asker(Protocol):
    """A connection, for those who answer it."""

    @property
    def is_open(self) -> bool: ...

    def answer(self, frame: AnswerFrame) -> bool:
        """False if the device does not read."""
        ...


class Queries(Protocol):
    def ask(self, asker: Asker, query: QueryFrame) -> None: ...

    def cancel(self, asker: Asker, id: int | None = None) -> None:
        """Without an ``id`` all queries of the connection."""
        ...


@dataclass(frozen=True)
class HubParts:
    """``name`` is the gateway's; ``presences`` are by device, as JSON, and not stored yet.
    ``welcomed``, ``reported`` and ``ended`` are called with the connection."""

    name: str
    commit: SessionWriter
    inbox: MessageInbox
    metrics: GatewayMetrics
    broadcasts: GroupBroadcasts
    presences: dict[str, str]
    queries: Queries
    clock: Callable[[], float]
    welcomed: Callable[[Any], object]
    reported: Callable[[Any], object]
    ended: Callable[[Any], object]
