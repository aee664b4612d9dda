"""One device that is connected, however its frames travel: its session, what is on its way to the store, and what it
is to be sent. Runs in the event loop."""

import json
from collections.abc import Collection
from functools import partial
from typing import Any, Protocol

from lykeion.core import LykeionError
from lykeion.delivery.device_service import FleetTransaction
from lykeion.delivery.device_sessions import (
    Command,
    Fenced,
    acknowledge,
    command_message,
    give_commands,
    resume_session,
)
from lykeion.device.conversation import (
    AckFrame,
    AnswerFrame,
    ByeFrame,
    CancelFrame,
    DesiredFrame,
    Frame,
    FrameError,
    GatewaySession,
    HelloFrame,
    MessageFrame,
    NotInTurn,
    PresenceFrame,
    QueryFrame,
    Resumption,
    read_frame,
    write_frame,
)

from .hub_parts import HubParts
from .message_inbox import MessageBundle

STUCK_S = 30.0
"""A device that reads nothing for so long is disconnected."""
MAX_PRESENCE_BYTES = 4_096
MOST_UNSTORED_BYTES = 1 << 20
"""Of one device; while more has come that is not on disk, nothing more is read from it."""


class Link(Protocol):
    """How frames reach the device."""

    full: bool
    """Whether the device is behind in reading: nothing is sent then but an end."""
    full_since: float | None
    """In the event loop's time."""

    def send(self, data: bytes) -> None: ...

    def close(self, why: str) -> None: ...

    def pause_reading(self) -> None:
        """No frames are taken from the device until ``resume_reading``; those that were read already may come."""
        ...

    def resume_reading(self) -> None: ...


class DeviceConnection:
    """``hello`` is the first frame that is taken. ``expires`` is when the device's credential does."""

    def __init__(self, parts: HubParts, device: str, groups: Collection[str], expires: float, link: Link) -> None:
        self.device, self.expires = device, expires
        self._parts, self._link, self._groups = parts, link, groups
        self._session: GatewaySession | None = None
        self.greeted = self._closed = self._giving = self._wanted = False
        self._unstored, self._paused = 0, False
        self._desired: tuple[int, Any] = (0, None)
        self._desired_sent = 0
        self._answers: list[AnswerFrame] = []

    @property
    def is_open(self) -> bool:
        return self._session is not None and not self._closed

    def stuck_for(self, now: float) -> float:
        return now - self._link.full_since if self._link.full_since is not None else 0.0

    def received(self, data: bytes) -> None:
        """A frame. What is wrong with it ends the connection."""
        if self._closed:
            return
        try:
            self._take(read_frame(data), len(data))
        except (FrameError, NotInTurn) as error:
            self.close(str(error), "frame")

    def close(self, why: str, kind: str, after_s: int = 0) -> None:
        """``kind`` is counted."""
        if self._closed:
            return
        self._parts.metrics.closed.labels(kind).inc()
        if not self._link.full:
            self._link.send(write_frame(ByeFrame(why[:250], after_s)))
        self._link.close(why)
        self.lost()

    def lost(self) -> None:
        """The connection has ended."""
        if not self._closed:
            self._closed = True
            self._parts.ended(self)

    def flush(self) -> None:
        """Send what is due, unless the device is behind in reading."""
        session = self._session
        if session is None or self._closed or self._link.full:
            return
        frames: list[Frame] = session.due()
        revision, body = self._desired
        if revision > self._desired_sent:
            frames.append(DesiredFrame(revision, body))
            self._desired_sent = revision
        frames += self._answers
        self._answers = []
        for frame in frames:
            self._link.send(write_frame(frame))
        self._send_broadcasts(session)

    def desire(self, body: Any) -> None:
        """The desired state of now; the last one counts."""
        if body != self._desired[1]:
            self._desired = self._desired[0] + 1, body
            self.flush()

    def answer(self, frame: AnswerFrame) -> bool:
        """False if the device does not read."""
        if self._closed or len(self._answers) >= 256:
            return False
        self._answers.append(frame)
        self.flush()
        return True

    def give(self) -> None:
        """Number commands that wait, as many as the device takes, and send them when that is on disk."""
        session = self._session
        self._wanted = True
        if session is None or self._closed or self._giving or not session.room:
            return
        self._giving, self._wanted = True, False
        change = partial(_give, device=self.device, epoch=session.epoch, most=session.room, clock=self._parts.clock)
        self._parts.commit.put(change, self._given)

    def _take(self, frame: Frame, size: int) -> None:
        if isinstance(frame, HelloFrame):
            self._greet(frame)
            return
        if self._session is None:
            raise NotInTurn(f"{type(frame).__name__} came before the welcome")
        given = self._session.receive(frame)
        match given:
            case MessageFrame():
                self._keep(given, size)
            case AckFrame():
                epoch = self._session.epoch
                change = partial(acknowledge, device=self.device, epoch=epoch, number=given.number)
                self._parts.commit.put(change, self._fenced_or)
                if self._wanted:
                    self.give()
                self.flush()
            case QueryFrame():
                self._parts.queries.ask(self, given)
            case CancelFrame():
                self._parts.queries.cancel(self, given.id)
            case PresenceFrame():
                body = json.dumps(given.body, default=str)  # bytes have no JSON
                if len(body) <= MAX_PRESENCE_BYTES:
                    self._parts.presences[self.device] = body
            case _:
                self.flush()  # a repeated message is acknowledged again

    def _keep(self, message: MessageFrame, size: int) -> None:
        assert self._session
        self._parts.inbox.put(self, self._session.epoch, message, size)
        self._unstored += size
        if self._unstored > MOST_UNSTORED_BYTES and not self._paused:
            self._paused = True
            self._link.pause_reading()

    def _greet(self, hello: HelloFrame) -> None:
        if self.greeted:
            raise NotInTurn("a second hello came")
        self.greeted = True
        change = partial(
            resume_session,
            device=self.device,
            hello=hello,
            groups=self._groups,
            gateway=self._parts.name,
            at=self._parts.clock(),
        )
        self._parts.commit.put(change, partial(self._resumed, hello))

    def _resumed(self, hello: HelloFrame, result: Any) -> None:
        if self._closed:
            return
        if isinstance(result, LykeionError):
            self.close(str(result), "store", after_s=1)
            return
        resumed: Resumption
        commands: list[Command]
        resumed, commands = result
        kept = [command_message(each, self._parts.clock()) for each in commands]
        self._session = GatewaySession(hello, resumed, kept)
        for reset in resumed.welcome.resets:
            self._parts.metrics.resets.labels(reset.what.partition(":")[0]).inc()
        self._parts.welcomed(self)
        self._link.send(write_frame(resumed.welcome))
        self.flush()
        self.give()

    def stored(self, bundle: MessageBundle, result: int | LykeionError) -> None:
        """Messages of this connection: how many of them could not be used, or why they are not on disk."""
        self._unstored -= bundle.size
        if not self._fenced_or(result) or self._session is None:
            return
        if self._paused and self._unstored <= MOST_UNSTORED_BYTES // 2:
            self._paused = False
            self._link.resume_reading()
        self._session.on_disk(bundle.messages[-1].number)
        self.flush()
        if any(message.name == "state" for message in bundle.messages):
            self._parts.reported(self)

    def _given(self, result: Any) -> None:
        self._giving = False
        if not self._fenced_or(result) or self._session is None:
            return
        for command in result:
            message = command_message(command, self._parts.clock())
            self._session.put(message.name, message.body)
        self.flush()
        if result or self._wanted:
            self.give()

    def _fenced_or(self, result: Any) -> bool:
        """Whether it was stored; else the connection ends."""
        if self._closed:
            return False
        if isinstance(result, Fenced):
            self.close(str(result), "fenced")
        elif isinstance(result, LykeionError):
            self.close(str(result), "store", after_s=1)
        return not isinstance(result, LykeionError)

    def _send_broadcasts(self, session: GatewaySession) -> None:
        for group, last in session.groups.items():
            for number, data in self._parts.broadcasts.after(group, last):
                if self._link.full:
                    return
                self._link.send(data)
                session.groups[group] = number


def _give(now: FleetTransaction, device: str, epoch: int, most: int, clock: Any) -> list[Command]:
    return give_commands(now, device, epoch, most, clock())
