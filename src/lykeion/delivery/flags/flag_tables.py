"""Where flags are kept: tables of a fleet's store, in SQL that SQLite and PostgreSQL take."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

FLAG_TABLES = (
    """CREATE TABLE flag_environments (
        name TEXT PRIMARY KEY, number BIGINT NOT NULL, changed_at DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE flag_versions (
        environment TEXT NOT NULL, flag TEXT NOT NULL, version INTEGER NOT NULL, archived INTEGER NOT NULL,
        at DOUBLE PRECISION NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (environment, flag, version)
    )""",
    """CREATE TABLE flag_seeds (
        environment TEXT NOT NULL, seed TEXT NOT NULL, owner TEXT NOT NULL, phase INTEGER NOT NULL,
        PRIMARY KEY (environment, seed)
    )""",
    """CREATE TABLE flag_attributes (
        environment TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, PRIMARY KEY (environment, name)
    )""",
    """CREATE TABLE flag_groups (
        environment TEXT NOT NULL, name TEXT NOT NULL, attribute TEXT NOT NULL, members TEXT NOT NULL,
        PRIMARY KEY (environment, name)
    )""",
    """CREATE TABLE flag_keys (
        digest TEXT PRIMARY KEY, environment TEXT NOT NULL, client TEXT NOT NULL, made_at DOUBLE PRECISION NOT NULL,
        made_by TEXT NOT NULL, revoked_at DOUBLE PRECISION
    )""",
    """CREATE TABLE flag_assignments (
        environment TEXT NOT NULL, unit TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (environment, unit)
    )""",
)
"""``flag_versions`` has every version of every flag, the last of which holds."""


class FlagTransaction(Protocol):
    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Any]: ...

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The number of rows that were changed."""
        ...

    def record(self, at: float, who: str, what: str) -> None:
        """In the audit log."""
        ...


class FlagBase(Protocol):
    """A store that has these tables, such as ``device_service.FleetStore``. Rows are taken by column name."""

    def transaction(self) -> AbstractContextManager[FlagTransaction]: ...

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Any]: ...
