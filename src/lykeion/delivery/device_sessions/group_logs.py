"""Broadcasts: one row for all devices of a group, numbered by group, of which the last are kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lykeion.core import Invalid
from lykeion.device.conversation import BroadcastFrame, FrameError, read_frame, write_frame

from .session_tables import SessionBase, SessionTransaction

KEPT_BROADCASTS = 1_000
"""Of each group."""
MAX_BODY_BYTES = 1 << 16
MAX_GROUP_NAME = 64


class BadBroadcast(Invalid):
    """A broadcast that cannot be sent."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    group: str
    number: int
    body: Any


def add_broadcast(
    now: SessionTransaction, group: str, body: Any, at: float, who: str, kept: int = KEPT_BROADCASTS
) -> int:
    """Its number. Raises BadBroadcast."""
    text = json.dumps(body)
    if not 0 < len(group) <= MAX_GROUP_NAME or not group.isprintable() or len(text) > MAX_BODY_BYTES:
        raise BadBroadcast(f"a group has a name of up to {MAX_GROUP_NAME} letters, a body {MAX_BODY_BYTES:,} bytes")
    try:
        read_frame(write_frame(BroadcastFrame(group, 0, body)))
    except FrameError as error:
        raise BadBroadcast(f"the broadcast cannot be read by devices: {error}") from None
    last = now.rows("SELECT max(number) AS last FROM broadcasts WHERE name = ?", (group,))[0]["last"] or 0
    now.change("INSERT INTO broadcasts (name, number, body, at) VALUES (?, ?, ?, ?)", (group, last + 1, text, at))
    now.change("DELETE FROM broadcasts WHERE name = ? AND number <= ?", (group, last + 1 - kept))
    now.record(at, who, f"broadcast {last + 1} to {group}")
    return last + 1


def group_ends(now: SessionTransaction | SessionBase) -> Mapping[str, tuple[int, int]]:
    """The first and the last number that is kept, by group."""
    rows = now.rows("SELECT name, min(number) AS first, max(number) AS last FROM broadcasts GROUP BY name")
    return {row["name"]: (row["first"], row["last"]) for row in rows}


def broadcasts_after(now: SessionTransaction | SessionBase, group: str, number: int) -> list[Broadcast]:
    rows = now.rows("SELECT * FROM broadcasts WHERE name = ? AND number > ? ORDER BY number", (group, number))
    return [Broadcast(row["name"], row["number"], json.loads(row["body"])) for row in rows]
