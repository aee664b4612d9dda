"""How devices said they are, in whatever words an app has for it: the last of each."""

import json
from collections.abc import Mapping
from typing import Any

from .session_tables import SessionBase, SessionTransaction

PRESENCE_TABLES = ("CREATE TABLE presences (device TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL NOT NULL)",)


def keep_presences(now: SessionTransaction, said: Mapping[str, str], at: float) -> None:
    """By device, as JSON."""
    now.change_all(
        "INSERT INTO presences (device, body, at) VALUES {rows}"
        " ON CONFLICT (device) DO UPDATE SET body = excluded.body, at = excluded.at",
        [(device, body, at) for device, body in said.items()],
    )


def presence_of(store: SessionBase, device: str) -> tuple[Any, float] | None:
    """And when it was said, in seconds since 1970; None if it never was."""
    rows = store.rows("SELECT body, at FROM presences WHERE device = ?", (device,))
    return (json.loads(rows[0]["body"]), rows[0]["at"]) if rows else None
