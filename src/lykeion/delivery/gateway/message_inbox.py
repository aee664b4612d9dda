"""Messages of devices on their way to the store: those of all devices that wait when a transaction begins are in it
together, by few statements. The thread that stores shares the interpreter with the event loop: each statement may
have to wait for it."""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lykeion import device
from lykeion.core import LykeionError, first_line
from lykeion.delivery.device_service import (
    BadValue,
    EventRow,
    FleetTransaction,
    NotTogether,
    event_rows,
    keep_events,
    keep_state,
    keep_together,
)
from lykeion.delivery.device_sessions import Fenced, end_command, take_messages, take_numbers
from lykeion.device.conversation import MessageFrame

from .gateway_metrics import GatewayMetrics
from .session_writer import SessionWriter

_log = logging.getLogger("lykeion.delivery")
WRONG = (LykeionError, LookupError, TypeError, ValueError)
"""What a message raises that cannot be used."""


class Sender(Protocol):
    """A connection. ``stored`` hears how many of its messages could not be used, or why nothing was stored."""

    device: str

    def stored(self, bundle: "MessageBundle", result: int | LykeionError) -> None: ...


@dataclass(slots=True)
class MessageBundle:
    """Consecutive messages of one connection, of ``size`` bytes."""

    sender: Sender
    device: str
    epoch: int
    messages: list[MessageFrame] = field(default_factory=list[MessageFrame])
    size: int = 0
    since: float = field(default_factory=time.perf_counter)


class MessageInbox:
    """Made and used in the event loop; the thread of ``commit`` takes what waits."""

    def __init__(self, commit: SessionWriter, metrics: GatewayMetrics, clock: Callable[[], float]) -> None:
        self._commit, self._metrics, self._clock = commit, metrics, clock
        self._loop = asyncio.get_running_loop()
        self._turn = threading.Lock()
        self._waiting: dict[Sender, MessageBundle] = {}
        self._asked = False

    def put(self, sender: Sender, epoch: int, frame: MessageFrame, size: int) -> None:
        with self._turn:
            bundle = self._waiting.get(sender)
            if bundle is None:
                bundle = self._waiting[sender] = MessageBundle(sender, sender.device, epoch)
            bundle.messages.append(frame)
            bundle.size += size
        if not self._asked:
            self._asked = True
            self._loop.call_soon(self._ask)  # when all that has come is here

    def _ask(self) -> None:
        bundles: list[MessageBundle] = []

        def store(now: FleetTransaction) -> list[int | LykeionError]:
            if not bundles:  # else it is tried again
                bundles.extend(self._taken())
            return store_bundles(now, bundles, self._clock())

        def told(results: Any) -> None:
            if isinstance(results, LykeionError):
                bundles.extend(() if bundles else self._taken())
                results = [results] * len(bundles)
            self._told(bundles, results)

        self._commit.put(store, told)

    def _taken(self) -> list[MessageBundle]:
        self._asked = False
        with self._turn:
            taken, self._waiting = self._waiting, {}
        return list(taken.values())

    def _told(self, bundles: Sequence[MessageBundle], results: Sequence[int | LykeionError]) -> None:
        now, names, metrics = time.perf_counter(), Counter[str](), self._metrics
        for bundle, result in zip(bundles, results, strict=True):
            try:
                bundle.sender.stored(bundle, result)
            except Exception as error:  # of one connection; the others hear their results
                _log.error("a connection fails: %s: %s", type(error).__name__, first_line(error))
            if isinstance(result, int):
                metrics.acknowledged.observe(now - bundle.since)
                metrics.refused.inc(result)
                names.update(frame.name for frame in bundle.messages)
        for name, count in names.items():
            metrics.messages.labels(name if name in KEEP else "other").inc(count)


def store_bundles(now: FleetTransaction, bundles: Sequence[MessageBundle], at: float) -> list[int | LykeionError]:
    """Of each how many messages could not be used, or why none is stored."""
    rows = [_event_rows(each, at) for each in bundles]
    together = [place for place, each in enumerate(rows) if each is not None]
    results: dict[int, int | LykeionError] = dict.fromkeys(_stored_together(now, bundles, rows, together, at), 0)
    for place, bundle in enumerate(bundles):
        if place not in results:
            results[place] = _stored_alone(now, bundle, at)
    return [results[place] for place in range(len(bundles))]


def _stored_together(
    now: FleetTransaction,
    bundles: Sequence[MessageBundle],
    rows: Sequence[list[EventRow] | None],
    places: Sequence[int],
    at: float,
) -> list[int]:
    """The places of those that were stored. One that cannot be is found by halves, and keeps back few others."""
    if len(places) < 2:
        return []
    claims = [_claim(bundles[place]) for place in places]
    try:
        with now.attempt():
            if take_numbers(now, claims) < len(claims):
                raise NotTogether
            keep_together(now, [row for place in places for row in rows[place] or ()], at)
        return list(places)
    except (NotTogether, BadValue):
        half = len(places) // 2
        parts = places[:half], places[half:]
        return [place for part in parts for place in _stored_together(now, bundles, rows, part, at)]


def _claim(bundle: MessageBundle) -> tuple[str, int, int, int]:
    return bundle.device, bundle.epoch, bundle.messages[0].number, bundle.messages[-1].number


def _event_rows(bundle: MessageBundle, at: float) -> list[EventRow] | None:
    """None if there is anything but events that can be used, or no event at all."""
    rows: list[EventRow] = []
    for message in bundle.messages:
        if message.name != "events":
            return None
        events = device.right_events(message.body)
        if events is None:
            return None
        try:
            rows += event_rows(bundle.device, events, at)
        except LykeionError:  # one is too large
            return None
    return rows or None


def _stored_alone(now: FleetTransaction, bundle: MessageBundle, at: float) -> int | LykeionError:
    wrong = 0

    def keep(_: Any, message: MessageFrame) -> None:
        nonlocal wrong
        try:
            with now.attempt():
                KEEP[message.name](now, bundle.device, message.body, at)
        except WRONG:
            wrong += 1

    try:
        take_messages(now, bundle.device, bundle.epoch, bundle.messages, keep)
    except Fenced as error:
        return error
    return wrong


def _keep_state(now: FleetTransaction, name: str, body: Any, at: float) -> None:
    keep_state(now, name, device.reported_state_of(body), at)


def _keep_events(now: FleetTransaction, name: str, body: Any, at: float) -> None:
    keep_events(now, name, device.batch_of(body), at)


def _keep_result(now: FleetTransaction, name: str, body: Any, at: float) -> None:
    end_command(now, name, str(body["key"])[:64], bool(body["ok"]), body["said"])


KEEP = {"state": _keep_state, "events": _keep_events, "result": _keep_result}
