"""Events of units: JSON lines in, Parquet by day and hour, read by DuckDB; and the units that they make countable."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .counted_units import CountedUnits, CountingRules, EventMeasure, count_units
    from .event_lines import MAX_LINE_BYTES, MAX_NUMBER, EventLineError, UnitEvent, read_lines
    from .event_log import Appended, EventLog, EventLogError
    from .first_occurrences import FirstEvents, first_events

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_NUMBER",
    "Appended",
    "CountedUnits",
    "CountingRules",
    "EventLineError",
    "EventLog",
    "EventLogError",
    "EventMeasure",
    "FirstEvents",
    "UnitEvent",
    "count_units",
    "first_events",
    "read_lines",
]
__getattr__ = lazy(__name__)
