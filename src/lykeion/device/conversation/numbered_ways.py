"""The two ways of a conversation. Each side numbers what it sends from 1 on, without gaps, keeps it until the other
side has it on disk, and takes each number once, in order.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from lykeion.core import Refused

from .frames import AckFrame, MessageFrame


class NotInTurn(Refused):
    """A number after a gap, or beyond what may be sent: the connection is closed, and the session resumed."""


class Outgoing:
    """What this side sends. ``first`` is the lowest number that is kept, ``next`` that of the next message."""

    def __init__(self, first: int = 1, kept: Iterable[MessageFrame] = ()) -> None:
        self.first, self._kept = first, deque(kept)
        self.next = first + len(self._kept)
        self.limit, self._sent = 0, first - 1

    def __len__(self) -> int:
        return len(self._kept)

    def kept(self) -> list[MessageFrame]:
        """From the oldest."""
        return list(self._kept)

    def put(self, name: str, body: Any) -> MessageFrame:
        """It is to be on disk before it is sent, or its number may be given again after a crash."""
        made = MessageFrame(self.next, name, body)
        self._kept.append(made)
        self.next += 1
        return made

    def drop_oldest(self) -> MessageFrame:
        """Where no more can be kept. The other side is told by a reset when it next connects."""
        self.first += 1
        self._sent = max(self._sent, self.first - 1)
        return self._kept.popleft()

    def opened(self, received: int, limit: int) -> list[MessageFrame]:
        """On a new connection: the other side has all up to ``received``. Returns those that need not be kept."""
        gone = self._forget(received)
        self._sent, self.limit = self.first - 1, limit
        return gone

    def acknowledged(self, ack: AckFrame) -> list[MessageFrame]:
        """Returns those that need not be kept. Raises NotInTurn for numbers that were not sent."""
        if ack.number > self._sent:
            raise NotInTurn(f"number {ack.number} is acknowledged, but {self._sent} was the last that was sent")
        self.limit = max(self.limit, ack.limit)
        return self._forget(ack.number)

    def due(self) -> list[MessageFrame]:
        """What may be sent now, and counts as sent."""
        start, end = self._sent + 1 - self.first, min(self.limit, self.next - 1) + 1 - self.first
        if end <= start:
            return []
        self._sent += end - start
        return [self._kept[place] for place in range(start, end)]

    def renumbered(self, first: int) -> list[MessageFrame]:
        """Number what is kept from ``first`` on, since the other side has these numbers of another past."""
        self._kept = deque(frame._replace(number=first + place) for place, frame in enumerate(self._kept))
        self.first, self.next, self._sent = first, first + len(self._kept), first - 1
        return list(self._kept)

    def _forget(self, number: int) -> list[MessageFrame]:
        gone = [self._kept.popleft() for _ in range(min(len(self._kept), number + 1 - self.first))]
        self.first += len(gone)
        return gone


class Incoming:
    """What this side takes: ``taken`` is the last number that came, ``stored`` the last that is on disk. At most
    ``window`` messages are under way."""

    def __init__(self, stored: int, window: int) -> None:
        self.taken = self.stored = stored
        self.window, self._promised = window, stored + window
        self.acknowledge = False
        """Whether an acknowledgement is due."""

    @property
    def limit(self) -> int:
        """The highest number that may be sent; it never falls."""
        self._promised = max(self._promised, self.stored + self.window)
        return self._promised

    def take(self, frame: MessageFrame) -> bool:
        """Whether the message is new, and to be stored. Raises NotInTurn."""
        if frame.number <= self.taken:
            self.acknowledge = self.acknowledge or frame.number <= self.stored
            return False
        if frame.number > self.taken + 1:
            raise NotInTurn(f"number {frame.number} came after {self.taken}")
        if frame.number > self.limit:
            raise NotInTurn(f"number {frame.number} came; {self.limit} was the highest that may be sent")
        self.taken = frame.number
        return True

    def on_disk(self, number: int) -> None:
        if number > self.stored:
            self.stored, self.acknowledge = number, True

    def due(self) -> list[AckFrame]:
        if not self.acknowledge:
            return []
        self.acknowledge = False
        return [AckFrame(self.stored, self.limit)]

    def opened(self, stored: int) -> None:
        """On a new connection."""
        self.taken = self.stored = stored
        self._promised, self.acknowledge = stored + self.window, False
