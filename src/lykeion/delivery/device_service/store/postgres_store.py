"""The fleet's store in PostgreSQL, for several gateways: the same tables and the same SQL as in SQLite.

Whoever writes commands, broadcasts or the audit log notifies the channel ``lykeion``, so that gateways look at once.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from lykeion.core import Unavailable, first_line

from .fleet_store import MIGRATIONS, BadValue, FleetStore, FleetStoreError, FleetTransaction

if TYPE_CHECKING:
    import psycopg

CHANNEL = "lykeion"
_CONNECTIONS = 4
_WAIT_S = 10.0
_LOCK = 0x4C594B46
_NOTIFIES = (
    f"""CREATE OR REPLACE FUNCTION lykeion_notify() RETURNS trigger AS $$
        BEGIN PERFORM pg_notify('{CHANNEL}', TG_TABLE_NAME); RETURN NULL; END $$ LANGUAGE plpgsql""",
    *(
        f"CREATE OR REPLACE TRIGGER lykeion_{table} AFTER INSERT ON {table} EXECUTE FUNCTION lykeion_notify()"
        for table in ("commands", "broadcasts", "audit")
    ),
)


class PostgresStore(FleetStore):
    """At ``address``, postgresql://…; a password may be in the file that ``PGPASSFILE`` names. The tables are made if
    they are missing, and migrated. Safe among threads. Every method raises FleetStoreError."""

    def __init__(self, address: str) -> None:
        import psycopg
        from psycopg.rows import dict_row
        from psycopg_pool import ConnectionPool

        self._address = address
        with self._errors():
            psycopg.connect(address, connect_timeout=int(_WAIT_S)).close()  # the pool would try again and again
            self._pool: ConnectionPool[Any] = ConnectionPool(
                address,
                min_size=1,
                max_size=_CONNECTIONS,
                timeout=_WAIT_S,
                kwargs={"row_factory": dict_row},
                check=ConnectionPool.check_connection,
                open=False,
            )
            self._pool.open(wait=True, timeout=_WAIT_S)
            self._migrate()

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def transaction(self) -> Generator[FleetTransaction]:
        with self._errors(), self._pool.connection() as connection:
            yield PostgresTransaction(connection)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._errors(), self._pool.connection() as connection:
            return connection.execute(cast(Any, _sql(sql)), tuple(values)).fetchall()

    def listen(self, wake: Callable[[], object]) -> Callable[[], None]:
        """Call ``wake``, in a thread, when another process has written; returns how to end it. A notice that is lost
        costs what a look at the store costs: nothing depends on it."""
        import psycopg

        stopping = threading.Event()

        def run() -> None:
            while not stopping.is_set():
                try:
                    with psycopg.connect(self._address, autocommit=True) as connection:
                        connection.execute(cast(Any, f"LISTEN {CHANNEL}"))
                        while not stopping.is_set():
                            for _ in connection.notifies(timeout=1.0, stop_after=1):
                                wake()
                except psycopg.Error:
                    stopping.wait(1.0)

        thread = threading.Thread(target=run, name="store-notices", daemon=True)
        thread.start()

        def end() -> None:
            stopping.set()
            thread.join(5)

        return end

    def _migrate(self) -> None:
        with self._pool.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))  # or another gateway migrates too
            connection.execute("CREATE TABLE IF NOT EXISTS lykeion_schema (version INTEGER NOT NULL)")
            row = connection.execute("SELECT max(version) AS version FROM lykeion_schema").fetchone()
            version = (row["version"] if row else None) or 0
            if version > len(MIGRATIONS):
                raise FleetStoreError("the database is of a later version of lykeion")
            for migration in MIGRATIONS[version:]:
                for statement in migration:
                    connection.execute(cast(Any, statement.replace(" REAL", " DOUBLE PRECISION")))
            if version < len(MIGRATIONS):
                for statement in _NOTIFIES:
                    connection.execute(cast(Any, statement))
                connection.execute("INSERT INTO lykeion_schema (version) VALUES (%s)", (len(MIGRATIONS),))

    @contextmanager
    def _errors(self) -> Generator[None]:
        import psycopg
        from psycopg_pool import PoolTimeout

        try:
            yield
        except (psycopg.Error, PoolTimeout, OSError) as error:
            raise FleetStoreError(f"the database of devices: {first_line(error)}") from None


class PostgresTransaction(FleetTransaction):
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(cast(Any, _sql(sql)), tuple(values)).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(cast(Any, _sql(sql)), tuple(values)).rowcount

    @contextmanager
    def attempt(self) -> Generator[None]:
        import psycopg

        try:
            with self._connection.transaction():
                yield
        except (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError) as error:
            raise BadValue(f"it cannot be stored: {first_line(error)}") from None

    def record(self, at: float, who: str, what: str) -> None:
        self.change("INSERT INTO audit (at, who, what) VALUES (?, ?, ?)", (at, who[:128], what[:1024]))


class NoPostgres(Unavailable):
    """psycopg is not installed."""


def open_postgres(address: str) -> PostgresStore:
    """Raises NoPostgres, FleetStoreError."""
    try:
        import psycopg  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise NoPostgres("a PostgreSQL store needs psycopg; run: pip install 'lykeion[postgres]'") from None
    return PostgresStore(address)


def _sql(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")
