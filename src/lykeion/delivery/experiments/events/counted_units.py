"""Units as an experiment counts them: each once, when nothing about it can change any more.

A unit enters with its first exposure, to the arm of that. Its events count that happened within the outcome window
and were received before the cut-off for late ones, which is so long after the window; then the unit is counted. An
event that is sent again counts once, as it was received first. So no number of a counted unit depends on what is
received later, or on the order, and looking at another time adds units and changes none.
"""

import math
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lykeion.core.errors import first_line
from lykeion.delivery.experiments.statistics import Values

from .event_log import EventLog, EventLogError
from .settled_units import SettledDays, SettledUnits, settled_day

Measured: TypeAlias = Literal["Any", "Count", "Sum"]
"""Whether there was an event, how many there were, or the sum of their values."""


@dataclass(frozen=True)
class EventMeasure:
    """A number of a unit from its events of one name; with ``before_s``, from those so long before its exposure.

    With ``arm``, only events of that arm: the answers that were credited to it, where both are shown in one list.
    """

    event: str
    measured: Measured
    before_s: float = 0.0
    arm: str = ""


@dataclass(frozen=True)
class CountingRules:
    """Exposures from ``start`` to ``stop`` count.

    With ``period_s``, periods of time are the units, and what happens in the first ``settle_s`` of them is left out.
    """

    experiment: str
    arms: tuple[str, ...]
    window_s: float
    late_s: float
    start: float
    stop: float
    period_s: float = 0.0
    settle_s: float = 0.0


@dataclass(frozen=True)
class CountedUnits:
    """In the order of exposure. ``arm`` is a number by ``rules.arms``; ``measures`` has an array for each measure.

    ``entered`` are arms of all units that were exposed, counted or not yet. ``mixed`` units were exposed to several.
    """

    unit: Values
    arm: Values
    at: Values
    attributes: Values
    measures: tuple[Values, ...]
    entered: Values
    mixed: int


def count_units(
    log: EventLog, rules: CountingRules, measures: Sequence[EventMeasure], until: float, fresh: bool = False
) -> CountedUnits:
    """What is known at ``until``: from the events since the last day that is settled, or with ``fresh`` from all.

    Raises EventLogError.
    """
    days = SettledDays(log, rules, measures)
    settled = None if fresh else days.latest(until)
    day = settled_day(until)
    if not fresh and day > max(rules.start, settled.at if settled else 0.0):
        stem = days.stem(day)
        with _counting(log, rules, measures, math.nextafter(day, 0.0), settled) as base:
            days.keep(day, stem, *_as_parquet(log, base, day - _earlier_s(rules, measures)))
        settled = days.latest(until)
    with _counting(log, rules, measures, until, settled) as base:
        return _read_counted(base, len(measures))


def _read_counted(base: Any, measures: int) -> CountedUnits:
    import numpy as np

    counted = base.execute('SELECT * FROM known WHERE counted ORDER BY "at", unit').fetchnumpy()
    entered = base.execute('SELECT arm FROM known ORDER BY "at", unit').fetchnumpy()["arm"]
    mixed = base.execute("SELECT count(*) FROM known WHERE bit_count(arms) > 1").fetchone()[0]
    return CountedUnits(
        np.asarray(counted["unit"]),
        np.asarray(counted["arm"], np.int64),
        np.asarray(counted["at"], np.float64),
        np.asarray(counted["attributes"]),
        tuple(np.asarray(counted[f"m{number}"], np.float64) for number in range(measures)),
        np.asarray(entered, np.int64),
        int(mixed),
    )


def _as_parquet(log: EventLog, base: Any, since: float) -> tuple[bytes, bytes]:
    """The units that are counted, and the keys of events in files before the hour of ``since``."""
    files = [str(path) for path in log.files(until=since)]
    source = "read_parquet($1, hive_partitioning = false)" if files else _NOTHING
    with tempfile.TemporaryDirectory() as directory:
        path, keys = Path(directory) / "settled.parquet", Path(directory) / "keys.parquet"
        base.execute(f"CREATE TEMP TABLE keys AS SELECT hash(unit, id) AS key FROM {source}", [files])  # noqa: S608
        base.table("keys").write_parquet(str(keys), compression="zstd")
        base.table("known").filter("counted").write_parquet(str(path), compression="zstd")
        return path.read_bytes(), keys.read_bytes()


def _earlier_s(rules: CountingRules, measures: Sequence[EventMeasure]) -> float:
    """What counts for a unit that is not settled was received so long before the day at most."""
    return rules.window_s + rules.late_s + rules.period_s + max((each.before_s for each in measures), default=0.0)


@contextmanager
def _counting(
    log: EventLog,
    rules: CountingRules,
    measures: Sequence[EventMeasure],
    until: float,
    settled: SettledUnits | None,
) -> Generator[Any]:
    """A connection with ``known``: one row of each unit that was exposed, whether it is ``counted``, by its number
    the ``arms`` that it was shown, and its measures.

    A unit that is not settled was exposed less than its window and late time before the day; all that counts for it
    was received after that, or after the time before it that a covariate needs.
    """
    names = sorted({each.event for each in measures})
    columns = "".join(f", {_measure(each)} AS m{number}" for number, each in enumerate(measures))
    numbers = "".join(f", m{number}" for number in range(len(measures)))
    since = settled.at - _earlier_s(rules, measures) if settled else None
    with reading(log, rules, until, since, settled.keys if settled else None) as base:
        if settled:
            base.execute("CREATE TEMP TABLE settled AS SELECT * FROM read_parquet($1)", [str(settled.path)])
        else:
            base.execute(_NOBODY + "".join(f", m{number} DOUBLE" for number in range(len(measures))) + ")")
        base.execute(
            f"""
            CREATE TEMP TABLE known AS
            WITH later AS (SELECT * FROM exposed ANTI JOIN settled USING (unit)),
            outcomes AS (SELECT unit, name, "at", value, received, arm FROM events WHERE list_contains($4, name))
            SELECT s.unit, s.arm, s.at, s.attributes, s.arms | coalesce(e.arms, 0) AS arms, counted {numbers}
            FROM settled s LEFT JOIN exposed e USING (unit)
            UNION ALL
            SELECT c.unit, c.arm, c.at, c.attributes, c.arms, c.at + $1 + $2 <= $3 AS counted {columns}
            FROM later c LEFT JOIN outcomes o
            ON o.unit = c.unit AND o.received <= c.at + $1 + $2 AND o.at < c.at + $1
            GROUP BY c.unit, c.arm, c.at, c.attributes, c.arms
            """,  # noqa: S608 - numbers and names of columns that are ours
            [rules.window_s, rules.late_s, until, names],
        )
        yield base


_NOBODY = (
    'CREATE TEMP TABLE settled (unit VARCHAR, arm BIGINT, "at" DOUBLE, attributes VARCHAR, arms BIGINT,'
    " counted BOOLEAN"
)


@contextmanager
def reading(
    log: EventLog, rules: CountingRules, until: float, since: float | None = None, keys: Path | None = None
) -> Generator[Any]:
    """A connection of DuckDB with ``events``, each once, and ``exposed``, one row a unit: of files since the hour of
    ``since``, without what was received before for the first time, whose ``keys`` are known. Raises EventLogError."""
    duckdb = _duckdb()
    with duckdb.connect(":memory:") as base:
        try:
            base.execute("SET threads = 2; SET autoinstall_known_extensions = false")
            _read_events(base, log, until, since, keys)
            if rules.period_s:
                base.execute(_PERIODS, [rules.period_s, rules.settle_s])
            base.execute(_EXPOSED, [rules.experiment, list(rules.arms), rules.start, rules.stop, rules.late_s])
            yield base
        except duckdb.Error as error:
            raise EventLogError(f"{log.directory}: the events cannot be read: {first_line(error)}") from None


def _read_events(base: Any, log: EventLog, until: float, since: float | None, keys: Path | None) -> None:
    """Again where a file was replaced meanwhile."""
    for left in reversed(range(5)):
        files = [str(path) for path in log.files(since)]
        earlier = [str(path) for path in log.files(until=since)] if since is not None else []
        try:
            base.execute(
                _ONCE.format(source="read_parquet($1, hive_partitioning = false)" if files else _NOTHING),
                [files, until],
            )
            if earlier and _may_come_again(base, keys):
                base.execute(_AGAIN, [earlier])
        except _duckdb().IOException:
            if not left:
                raise
        else:
            return


def _may_come_again(base: Any, keys: Path | None) -> bool:
    """Whether an event may have been received before: two may have one key."""
    if keys is None or not keys.exists():
        return True
    found = base.execute(
        "SELECT 1 FROM read_parquet($1) SEMI JOIN events ON key = hash(unit, id) LIMIT 1", [str(keys)]
    )
    return found.fetchone() is not None


_NOTHING = """(SELECT '' AS id, '' AS unit, '' AS name, 0.0::DOUBLE AS "at", 0.0::DOUBLE AS received,
    0.0::DOUBLE AS value, '' AS experiment, '' AS arm, '' AS attributes WHERE len($1) > 0)"""
_ONCE = """
    CREATE OR REPLACE TEMP TABLE events AS
    SELECT * EXCLUDE (copy) FROM (
        SELECT id, unit, name, "at", received, value, experiment, arm, attributes,
            row_number() OVER (PARTITION BY unit, id ORDER BY received, "at", name, value) AS copy
        FROM {source} WHERE received <= $2
    ) WHERE copy = 1
"""
_AGAIN = """
    DELETE FROM events USING (
        SELECT DISTINCT unit, id FROM read_parquet($1, hive_partitioning = false) SEMI JOIN events USING (unit, id)
    ) AS before WHERE events.unit = before.unit AND events.id = before.id
"""
_PERIODS = """
    CREATE OR REPLACE TEMP TABLE events AS
    SELECT * REPLACE (CAST(CAST(floor("at" / $1) AS BIGINT) AS VARCHAR) AS unit) FROM events
    WHERE "at" - $1 * floor("at" / $1) >= $2
"""
_EXPOSED = """
    CREATE TEMP TABLE exposed AS
    SELECT unit, min_by(arm, ("at", id)) AS arm, min("at") AS "at", min_by(attributes, ("at", id)) AS attributes,
        bit_or(1::BIGINT << arm) AS arms, min(received) AS seen
    FROM (
        SELECT unit, id, "at", received, attributes, (list_position($2, arm) - 1)::BIGINT AS arm FROM events
        WHERE name = 'exposure' AND experiment = $1 AND "at" >= $3 AND "at" < $4 AND received <= "at" + $5
            AND list_contains($2, arm)
    ) GROUP BY unit
"""


def _measure(measure: EventMeasure) -> str:
    quoted, arm = (each.replace("'", "''") for each in (measure.event, measure.arm))
    begins = f"o.at >= c.at - {float(measure.before_s)!r} AND o.at < c.at" if measure.before_s else "o.at >= c.at"
    credited = f" AND o.arm = '{arm}'" if arm else ""
    which = f"FILTER (WHERE o.name = '{quoted}' AND {begins}{credited})"
    if measure.measured == "Sum":
        return f"coalesce(sum(o.value ORDER BY o.at, o.value) {which}, 0)"
    count = f"count(o.value) {which}"
    return f"({count})::DOUBLE" if measure.measured == "Count" else f"least({count}, 1)::DOUBLE"


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise EventLogError("results of experiments need duckdb: pip install 'lykeion[experiments]'") from None
    return duckdb
