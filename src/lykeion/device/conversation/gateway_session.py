"""A gateway's side of ``lykeion.v1``, without I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .frames import (
    AckFrame,
    CancelFrame,
    Frame,
    HelloFrame,
    MessageFrame,
    PresenceFrame,
    QueryFrame,
    Reset,
    WelcomeFrame,
)
from .numbered_ways import Incoming, NotInTurn, Outgoing

GATEWAY_WINDOW = 64
"""Messages of one device that may be under way, each way."""
MAX_UNTOLD = 16
"""Resets that are told again; of more only the last."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """What the store has of a device's session. ``taken`` is the last number from the device, ``first`` the lowest
    to it that is kept, ``sent`` the last that was given. ``untold`` are resets, each with the epoch whose welcome
    told of it: until the device says that it has that epoch, the welcome may have been lost."""

    session: bytes
    epoch: int
    taken: int = 0
    first: int = 1
    sent: int = 0
    untold: tuple[tuple[int, Reset], ...] = ()


@dataclass(frozen=True, slots=True)
class GroupLog:
    """Numbers of the broadcasts to a group that are kept: ``first`` to ``last``."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Resumption:
    """What hello comes to: the state to store, if its epoch is still the one that was read, and the welcome.

    With ``is_new`` the session is another than before: what was numbered for that is to be numbered again.
    """

    state: SessionState
    welcome: WelcomeFrame
    is_new: bool


def resume(hello: HelloFrame, known: SessionState | None, groups: Mapping[str, GroupLog]) -> Resumption:
    """``groups`` are the device's."""
    resets = [reset for epoch, reset in known.untold if epoch > hello.epoch] if known else []
    is_new = known is None or known.session != hello.session
    if known is not None and not is_new:
        state = _compared(hello, known, resets)
    elif hello.epoch == 0:
        state = _compared(hello, SessionState(hello.session, known.epoch if known else 0), resets)
    else:
        resets.append(Reset("session", 0, 0, "the gateway does not know this session"))
        base = known.epoch if known else 0
        state = SessionState(hello.session, base, hello.first - 1, hello.received + 1, hello.received)
    epoch = max(state.epoch, hello.epoch) + 1
    resets = list(dict.fromkeys(resets))[-MAX_UNTOLD:]
    told_at = {reset: at for at, reset in known.untold} if known else {}
    state = replace(state, epoch=epoch, untold=tuple((told_at.get(reset, epoch), reset) for reset in resets))
    starts = {group: _start(group, log, hello.groups.get(group), resets) for group, log in groups.items()}
    limit = state.taken + GATEWAY_WINDOW
    return Resumption(state, WelcomeFrame(epoch, state.taken, state.first, limit, starts, tuple(resets)), is_new)


class GatewaySession:
    """A connection, from its welcome on. ``kept`` are the messages to the device that have a number."""

    def __init__(self, hello: HelloFrame, resumed: Resumption, kept: Sequence[MessageFrame]) -> None:
        state, welcome = resumed.state, resumed.welcome
        self.epoch, self.groups = state.epoch, dict(welcome.groups)
        self.incoming, self.outgoing = Incoming(state.taken, GATEWAY_WINDOW), Outgoing(welcome.first, kept)
        self.outgoing.opened(welcome.first - 1, hello.limit)

    def receive(self, frame: Frame) -> Frame | None:
        """The frame, if there is something to do about it: a message is to be stored. Raises NotInTurn."""
        match frame:
            case MessageFrame():
                return frame if self.incoming.take(frame) else None
            case AckFrame():
                return frame if self.outgoing.acknowledged(frame) else None
            case QueryFrame() | CancelFrame() | PresenceFrame():
                return frame
            case _:
                raise NotInTurn(f"a device does not send {type(frame).__name__} here")

    def on_disk(self, number: int) -> None:
        """Messages up to this one are stored."""
        self.incoming.on_disk(number)

    @property
    def room(self) -> int:
        """How many more messages may be under way: as many as the device takes, and no more than are kept here."""
        return max(0, min(self.outgoing.limit + 1 - self.outgoing.next, GATEWAY_WINDOW - len(self.outgoing)))

    def put(self, name: str, body: Any) -> MessageFrame:
        """To be on disk with its number before it is sent."""
        return self.outgoing.put(name, body)

    def due(self) -> list[Frame]:
        return [*self.incoming.due(), *self.outgoing.due()]


def _compared(hello: HelloFrame, known: SessionState, resets: list[Reset]) -> SessionState:
    taken, first, sent = known.taken, known.first, known.sent
    if hello.first > taken + 1:
        resets.append(Reset("up", taken + 1, hello.first - 1, "the device could not keep them"))
        taken = hello.first - 1
    elif hello.next <= taken:
        resets.append(Reset("numbers", hello.next, taken, "the device's file is older than the gateway's"))
    if hello.received > sent:
        resets.append(Reset("down", sent + 1, hello.received, "the gateway's file is older than the device's"))
        first, sent = hello.received + 1, hello.received
    elif hello.received + 1 < first:
        resets.append(Reset("down", hello.received + 1, first - 1, "they were not kept any longer"))
    return SessionState(known.session, known.epoch, taken, max(first, min(hello.received, sent) + 1), sent)


def _start(group: str, log: GroupLog, seen: int | None, resets: list[Reset]) -> int:
    """A device that is new in a group hears what comes from now on."""
    if seen is None:
        return log.last
    if seen > log.last:
        resets.append(Reset(f"group:{group}", log.last + 1, seen, "the gateway's file is older than the device's"))
        return log.last
    if seen + 1 < log.first:
        resets.append(Reset(f"group:{group}", seen + 1, log.first - 1, "they were not kept any longer"))
    return max(seen, log.first - 1)
