"""What is kept of a fleet: one SQLite file, or the same tables in PostgreSQL."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .fleet_store import BadValue, FleetStore, FleetStoreError, FleetTransaction, fleet_id
    from .postgres_store import PostgresStore, open_postgres

__all__ = [
    "BadValue",
    "FleetStore",
    "FleetStoreError",
    "FleetTransaction",
    "PostgresStore",
    "fleet_id",
    "open_postgres",
]

__getattr__ = lazy(__name__)
