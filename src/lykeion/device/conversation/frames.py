"""The frames of ``lykeion.v1``: each a CBOR array (RFC 8949, deterministic) of its code and its fields.

Bodies are null, truth values, numbers, text, bytes, arrays, and maps of text.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

PROTOCOL = "lykeion.v1"


class Reset(NamedTuple):
    """What was lost, told to the device: of ``what`` the numbers ``first`` to ``last``, and ``why``.

    ``what`` is ``up`` (from the device), ``down`` (to it), ``session`` (all that was known of it), or the name of a
    group after ``group:``.
    """

    what: str
    first: int
    last: int
    why: str


class HelloFrame(NamedTuple):
    """From the device, first. ``epoch`` is the last that it was given, ``received`` the last number that it has on
    disk; it keeps numbers ``first`` to ``next`` - 1 of its own, takes up to ``limit``, and has seen of each group
    that number."""

    session: bytes
    epoch: int
    received: int
    first: int
    next: int
    limit: int
    groups: Mapping[str, int]


class WelcomeFrame(NamedTuple):
    """The answer to hello. Resumed if ``resets`` is empty. The gateway has ``received`` on disk, sends from ``first``
    on, and takes up to ``limit``; broadcasts of ``groups`` follow from these numbers."""

    epoch: int
    received: int
    first: int
    limit: int
    groups: Mapping[str, int]
    resets: tuple[Reset, ...]


class MessageFrame(NamedTuple):
    """Numbered, either way: kept until it is acknowledged, and taken once."""

    number: int
    name: str
    body: Any


class AckFrame(NamedTuple):
    """All up to ``number`` is on disk; up to ``limit`` is taken."""

    number: int
    limit: int


class DesiredFrame(NamedTuple):
    """The desired state: the last one counts, ``revision`` grows."""

    revision: int
    body: Any


class BroadcastFrame(NamedTuple):
    """To a group. A number that is left out was dropped."""

    group: str
    number: int
    body: Any


class QueryFrame(NamedTuple):
    """``id`` is the device's, unused by another query under way."""

    id: int
    body: Any


class AnswerFrame(NamedTuple):
    """``part`` counts from 0; ``last`` ends the query."""

    id: int
    part: int
    last: bool
    body: Any


class CancelFrame(NamedTuple):
    """No more answers to this query are wanted."""

    id: int


class PresenceFrame(NamedTuple):
    """How the device is just now; the last one counts, and none is kept."""

    body: Any


class ByeFrame(NamedTuple):
    """Before closing: why, and after how many seconds to come back."""

    why: str
    after_s: int


Frame: TypeAlias = (
    HelloFrame | WelcomeFrame | MessageFrame | AckFrame | DesiredFrame | BroadcastFrame | QueryFrame | AnswerFrame
    | CancelFrame | PresenceFrame | ByeFrame
)  # fmt: skip
