"""The tables of sessions, and what a store has to offer that has them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

SESSION_TABLES = (
    """CREATE TABLE sessions (
        device TEXT PRIMARY KEY, session TEXT NOT NULL, epoch BIGINT NOT NULL, taken BIGINT NOT NULL,
        first BIGINT NOT NULL, sent BIGINT NOT NULL, untold TEXT NOT NULL, gateway TEXT NOT NULL, at REAL NOT NULL
    )""",
    """CREATE TABLE commands (
        device TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, made_at REAL NOT NULL,
        expires REAL NOT NULL, number BIGINT, state TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (device, key)
    )""",
    "CREATE INDEX commands_waiting ON commands (device, made_at) WHERE state = 'waiting'",
    "CREATE INDEX commands_made ON commands (made_at)",
    """CREATE TABLE broadcasts (
        name TEXT NOT NULL, number BIGINT NOT NULL, body TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (name, number)
    )""",
    "CREATE INDEX audit_at ON audit (at)",
)


COMMAND_ENDS = ("CREATE INDEX commands_expire ON commands (expires)",)
"""So that old commands are found."""


class SessionTransaction(Protocol):
    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Any]: ...

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The number of rows that were changed."""
        ...

    def change_all(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """The same for many rows, which stand in ``sql`` as ``VALUES {rows}``."""
        ...

    def record(self, at: float, who: str, what: str) -> None:
        """In the audit log."""
        ...


class SessionBase(Protocol):
    """A store that has these tables, such as ``device_service.FleetStore``. Rows are taken by column name."""

    def transaction(self) -> AbstractContextManager[SessionTransaction]: ...

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Any]: ...
