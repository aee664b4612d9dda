"""A thread that keeps a device in conversation with its gateway, and comes back when the connection has ended."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lykeion.core import LykeionError, first_line
from lykeion.device.conversation import (
    AckFrame,
    AnswerFrame,
    BroadcastFrame,
    ByeFrame,
    CancelFrame,
    DesiredFrame,
    FrameError,
    MessageFrame,
    NotInTurn,
    PresenceFrame,
    QueryFrame,
    WelcomeFrame,
    read_frame,
    reconnect_delay_s,
    spread_s,
    write_frame,
)
from lykeion.device.fetching.file_source import Later
from lykeion.device.fleet.event_batches import batch_plain
from lykeion.device.fleet.event_reports import EventReports
from lykeion.device.photo_search import SearchUnavailable

from .conversation_file import ConversationFile
from .frame_transports import FrameTransport, NoWebSocket, PollTransport, WebSocketTransport

LISTEN_S = 0.5
REPORT_S = 10.0
"""How often events are sent, more or less."""
ANSWER_S = 30.0
MAX_UNDER_WAY = 8
"""Batches of events that wait for an acknowledgement."""


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """``command``: ``name`` and ``body`` are the sender's, and what the handler returns is sent back; ``key`` is the
    same if it is handed out again after a crash. ``broadcast``: ``name`` is the group. ``desired``: there is another
    state to update to. ``reset``: ``body`` says what was lost, and why."""

    kind: Literal["command", "broadcast", "desired", "reset"]
    name: str
    body: Any
    key: str = ""


Handler = Callable[[DeviceMessage], Any]


@dataclass(slots=True)
class _Asked:
    parts: list[Any]
    ended: threading.Event


class LiveConnection:
    """``credential`` gives a token, renewed if need be; ``state``, what the device reports of itself.
    ``desired`` keeps what it is to run, and returns whether that is new. Handlers are called in this thread."""

    def __init__(
        self,
        home: Path,
        address: str,
        credential: Callable[[], str],
        state: Callable[[], dict[str, Any]],
        desired: Callable[[dict[str, Any]], bool],
        reports: EventReports,
        handlers: list[Handler],
    ) -> None:
        self._address, self._credential, self._state, self._desired = address, credential, state, desired
        self._reports, self._handlers = reports, handlers
        self._file = ConversationFile(home / "conversation.db")
        self._chance = random.SystemRandom()
        self._stopping, self._tell_state = threading.Event(), threading.Event()
        self._asked: dict[int, _Asked] = {}
        self._to_ask: list[QueryFrame | CancelFrame] = []
        self._turn, self._next_id = threading.Lock(), 1
        self._presence, self._tell_presence = b"", False
        self._polls = False
        self.open = False
        self.problem = ""
        """Why there is no connection now."""
        self._thread = threading.Thread(target=self._run, name="device-gateway", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        self._file.close()

    def tell_state(self) -> None:
        """The device runs something else."""
        self._tell_state.set()

    def present(self, body: Any) -> None:
        """Say how the device is just now, at once and on each connection from now on; the last one counts."""
        data = write_frame(PresenceFrame(body))
        with self._turn:
            self._presence, self._tell_presence = data, True

    def search(self, query: dict[str, Any], wait_s: float = ANSWER_S) -> dict[str, Any]:
        """``results``, best first. Raises SearchUnavailable."""
        parts = self.ask(query, wait_s)
        if parts is None:
            raise SearchUnavailable(f"the gateway does not answer: {self.problem or 'it took too long'}")
        if error := next((part["error"] for part in parts if "error" in part), ""):
            raise SearchUnavailable(f"the gateway answers: {str(error)[:200]}")
        return {**parts[0], "results": [each for part in parts for each in part["results"]]}

    def ask(self, body: dict[str, Any], wait_s: float) -> list[Any] | None:
        """The parts of the answer; None if there is no connection, or no answer in time."""
        asked = _Asked([], threading.Event())
        with self._turn:
            if not self.open:
                return None
            id, self._next_id = self._next_id, self._next_id + 1
            self._asked[id] = asked
            self._to_ask.append(QueryFrame(id, body))
        ended = asked.ended.wait(wait_s)
        with self._turn:
            self._asked.pop(id, None)
            if not ended:
                self._to_ask.append(CancelFrame(id))
        return asked.parts if ended and asked.parts else None

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            after_s = 0.0
            try:
                after_s = self._converse()
                failures = 0
            except LykeionError as error:
                self.problem = first_line(error)
                failures += 1
                after_s = error.seconds if isinstance(error, Later) else 0.0
                self._polls = self._polls != isinstance(error, NoWebSocket)
            self._end()
            self._stopping.wait(reconnect_delay_s(failures, after_s, self._chance))

    def _converse(self) -> float:
        """Until the gateway says bye; after how many seconds to come back."""
        token = self._credential()
        kind = PollTransport if self._polls else WebSocketTransport
        transport: FrameTransport = kind(self._address, token)
        try:
            return self._talk(transport)
        finally:
            transport.close()

    def _talk(self, transport: FrameTransport) -> float:
        session = self._file.reload()
        transport.send(write_frame(session.hello()))
        report_at = 0.0
        while not self._stopping.is_set():
            data = transport.receive(LISTEN_S)
            if data is not None:
                try:
                    given = session.receive(read_frame(data))
                except (FrameError, NotInTurn) as error:
                    transport.send(write_frame(ByeFrame(first_line(error)[:250], 0)))
                    raise
                if isinstance(given, ByeFrame):
                    self.problem = f"the gateway has ended the connection: {given.why}"
                    return float(given.after_s)
                self._given(given)
            if session.open:
                self._file.handle(self._handled)
                if self._tell_state.is_set():
                    self._tell_state.clear()
                    self._file.put("state", self._state())
                if time.monotonic() >= report_at and self._report():
                    report_at = time.monotonic() + spread_s(REPORT_S, self._chance)
                for frame in session.due():
                    transport.send(write_frame(frame))
                with self._turn:
                    asked, self._to_ask = self._to_ask, []
                    presence = self._presence if self._tell_presence else b""
                    self._tell_presence = False
                if presence:
                    transport.send(presence)
                for frame in asked:
                    transport.send(write_frame(frame))
        return 0.0

    def _given(self, frame: Any) -> None:
        match frame:
            case WelcomeFrame():
                self._file.welcomed()
                self.open, self.problem, self._tell_presence = True, "", True
                self._tell_state.set()
                for reset in frame.resets:
                    self._tell(DeviceMessage("reset", reset.what, reset._asdict()))
            case AckFrame():
                self._file.acknowledged()
            case MessageFrame():
                self._file.take(frame)
            case BroadcastFrame():
                self._tell(DeviceMessage("broadcast", frame.group, frame.body))
                self._file.heard()
            case DesiredFrame():
                if self._desired(frame.body):
                    self._tell(DeviceMessage("desired", "", frame.body))
            case AnswerFrame():
                self._answered(frame)
            case _:
                pass

    def _answered(self, frame: AnswerFrame) -> None:
        with self._turn:
            asked = self._asked.get(frame.id)
        if asked:
            asked.parts.append(frame.body)
            if frame.last:
                asked.ended.set()

    def _handled(self, frame: MessageFrame) -> tuple[str, Any] | None:
        body = frame.body
        if frame.name != "command" or not isinstance(body, dict):
            return None
        key = str(body.get("key", ""))
        if not body.get("for_s"):
            return "result", {"key": key, "ok": False, "said": "expired"}
        said, ok = self._tell(DeviceMessage("command", str(body.get("name", "")), body.get("body"), key))
        return "result", {"key": key, "ok": ok, "said": said}

    def _tell(self, message: DeviceMessage) -> tuple[Any, bool]:
        """What the first handler that has an answer says, or what went wrong in one."""
        said, failed = None, ""
        for handler in list(self._handlers):
            try:
                answer = handler(message)
                _refuse_unsendable(message.key, answer)
            except Exception as error:  # an app's error ends no connection
                failed = failed or f"{type(error).__name__}: {first_line(error)}"[:300]
                continue
            said = answer if said is None else said
        return (failed, False) if failed else (said, said is not None)

    def _report(self) -> bool:
        """Send events, unless much is under way already. Whether all were sent."""
        while len(self._file.session.outgoing) < MAX_UNDER_WAY:
            batch = self._reports.batch()
            if not batch.events and not batch.dropped:
                return True
            self._file.put("events", batch_plain(batch))
            self._reports.arrived(batch)
        return False

    def _end(self) -> None:
        with self._turn:
            self.open = False
            for asked in self._asked.values():
                asked.parts.clear()
                asked.ended.set()


def _refuse_unsendable(key: str, said: Any) -> None:
    """What no gateway would read must not be kept: it would end every connection. Raises FrameError, CBORError."""
    read_frame(write_frame(MessageFrame(1, "result", {"key": key, "ok": True, "said": said})))
