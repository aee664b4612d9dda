"""A device's side of ``lykeion.v1``, without I/O: what to send, what to keep, what came.

Whoever runs it calls ``hello`` when a connection has opened and ``receive`` for each frame, stores what they return,
says so by ``on_disk``, and sends what is ``due``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lykeion.core import Refused

from .frames import (
    AckFrame,
    AnswerFrame,
    BroadcastFrame,
    ByeFrame,
    DesiredFrame,
    Frame,
    HelloFrame,
    MessageFrame,
    WelcomeFrame,
)
from .numbered_ways import Incoming, NotInTurn, Outgoing

DEVICE_WINDOW = 64
"""Messages to a device that may be under way."""


class OldGateway(Refused):
    """A gateway that does not know of a later connection of this session: it is cut off from the others."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a device keeps of its session over restarts; ``received`` is on its disk."""

    session: bytes
    epoch: int = 0
    received: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)


class DeviceSession:
    """``most`` messages are kept for a gateway that does not come; the oldest are dropped then, and counted."""

    def __init__(
        self, record: SessionRecord, kept: Iterable[MessageFrame] = (), first: int = 1, most: int = 1_000
    ) -> None:
        self.session, self.epoch, self._most = record.session, record.epoch, most
        self.outgoing, self.incoming = Outgoing(first, kept), Incoming(record.received, DEVICE_WINDOW)
        self.groups = dict(record.groups)
        self.open = False
        self.dropped_broadcasts = 0

    @property
    def record(self) -> SessionRecord:
        return SessionRecord(self.session, self.epoch, self.incoming.stored, dict(self.groups))

    def put(self, name: str, body: Any) -> tuple[MessageFrame, list[MessageFrame]]:
        """The message, to be stored before it is sent, and those that are dropped for it."""
        dropped = [self.outgoing.drop_oldest() for _ in range(len(self.outgoing) + 1 - self._most)]
        return self.outgoing.put(name, body), dropped

    def hello(self) -> HelloFrame:
        """Also for a connection after one that broke: what was not stored then comes again."""
        self.open = False
        self.incoming.opened(self.incoming.stored)
        outgoing = self.outgoing
        return HelloFrame(
            self.session,
            self.epoch,
            self.incoming.stored,
            outgoing.first,
            outgoing.next,
            self.incoming.limit,
            dict(self.groups),
        )

    def receive(self, frame: Frame) -> Frame | None:
        """The frame, if there is something to do about it. Raises NotInTurn, OldGateway."""
        if isinstance(frame, WelcomeFrame):
            return self._welcomed(frame)
        if isinstance(frame, ByeFrame):
            return frame
        if not self.open:
            raise NotInTurn(f"{type(frame).__name__} came before the welcome")
        match frame:
            case MessageFrame():
                return frame if self.incoming.take(frame) else None
            case AckFrame():
                self.outgoing.acknowledged(frame)
                return frame
            case BroadcastFrame():
                return frame if self._is_new(frame) else None
            case DesiredFrame() | AnswerFrame():
                return frame
            case _:
                raise NotInTurn(f"a gateway does not send {type(frame).__name__}")

    def on_disk(self, number: int) -> None:
        """Messages up to this one are stored."""
        self.incoming.on_disk(number)

    def due(self) -> list[Frame]:
        return [*self.incoming.due(), *self.outgoing.due()] if self.open else []

    def _welcomed(self, frame: WelcomeFrame) -> WelcomeFrame:
        if self.open:
            raise NotInTurn("a second welcome came")
        if frame.epoch <= self.epoch:
            raise OldGateway(f"the gateway gives epoch {frame.epoch}; {self.epoch} was given before")
        self.epoch, self.open = frame.epoch, True
        self.incoming.opened(frame.first - 1)
        outgoing = self.outgoing
        if any(reset.what == "numbers" for reset in frame.resets):
            outgoing.renumbered(frame.received + 1)
        outgoing.opened(frame.received, frame.limit)
        self.groups = dict(frame.groups)
        return frame

    def _is_new(self, frame: BroadcastFrame) -> bool:
        """One that is left out was dropped, which is counted."""
        last = self.groups.get(frame.group)
        if last is None or frame.number <= last:
            return False
        self.dropped_broadcasts += frame.number - last - 1
        self.groups[frame.group] = frame.number
        return True
