"""When events of a name first came from each exposed unit: for guardrails, which look at what was received."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lykeion.delivery.experiments.statistics import Values

from .counted_units import CountingRules, reading
from .event_log import EventLog


@dataclass(frozen=True)
class FirstEvents:
    """One entry a unit: its arm by number, and when its exposure was received.

    ``first`` has by name when the first event was received after the exposure, NaN if none was, and ``values`` its
    value.
    """

    arm: Values
    entered: Values
    first: Mapping[str, Values]
    values: Mapping[str, Values]


def first_events(
    log: EventLog, rules: CountingRules, names: Sequence[str], until: float, model: str = ""
) -> FirstEvents:
    """Of what was received before ``until``, also under ``MODEL:NAME``, of that model or else of any.

    Raises EventLogError.
    """
    import numpy as np

    with reading(log, rules, until) as base:
        units = base.execute('SELECT unit, arm, seen FROM exposed e ORDER BY e."at", unit').fetchnumpy()
        first: dict[str, Values] = {}
        values: dict[str, Values] = {}
        for name in names:
            found = base.execute(
                """
                SELECT min(o.received) AS came, min_by(o.value, (o.received, o.id)) AS value
                FROM exposed e LEFT JOIN events o ON o.unit = e.unit AND o.received >= e.seen
                AND (o.name = $1 OR o.name = $2 || ':' || $1 OR ($2 = '' AND ends_with(o.name, ':' || $1)))
                GROUP BY e.unit, e."at" ORDER BY e."at", e.unit
                """,
                [name, model],
            ).fetchnumpy()
            first[name] = np.ma.filled(np.ma.asarray(found["came"], np.float64), np.nan)
            values[name] = np.ma.filled(np.ma.asarray(found["value"], np.float64), np.nan)
    return FirstEvents(np.asarray(units["arm"], np.int64), np.asarray(units["seen"], np.float64), first, values)
