"""The logs of groups in memory, as frames: encoded once, sent to all. Used in the event loop."""

from collections import deque
from collections.abc import Sequence

from lykeion.delivery.device_sessions import KEPT_BROADCASTS, Broadcast
from lykeion.device.conversation import BroadcastFrame, write_frame


class GroupBroadcasts:
    def __init__(self, kept: int = KEPT_BROADCASTS) -> None:
        self._kept = kept
        self._logs: dict[str, deque[tuple[int, bytes]]] = {}

    def groups(self) -> tuple[str, ...]:
        return tuple(self._logs)

    def last(self, group: str) -> int:
        log = self._logs.get(group)
        return log[-1][0] if log else 0

    def add(self, broadcast: Broadcast) -> None:
        if broadcast.number > self.last(broadcast.group):
            log = self._logs.setdefault(broadcast.group, deque(maxlen=self._kept))
            frame = BroadcastFrame(broadcast.group, broadcast.number, broadcast.body)
            log.append((broadcast.number, write_frame(frame)))

    def after(self, group: str, number: int) -> Sequence[tuple[int, bytes]]:
        """What is kept now with higher numbers, in order."""
        log = self._logs.get(group)
        if not log or log[-1][0] <= number:
            return ()
        return [each for each in log if each[0] > number]
