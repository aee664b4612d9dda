"""Units about which nothing can change any more, kept in a file, so that a report reads only the events since then.

For the start of a day, ``derived/RULES-SECONDS-FILES.parquet`` has one row of each unit that is counted by then: its
arm, and its measures. RULES is a digest of what is counted, FILES of the names of all event files of earlier days,
which are digests of their content: if one of them is another, the file is no longer used. Beside it, ``.keys`` has a
number of each event that was received before all that reports still read: an event that comes again is found by it,
without the files of these days. Both can be deleted at any time.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lykeion.core import LykeionError
from lykeion.core.files import write_atomically

from .event_log import EventLog

DAY_S = 86_400.0
COMPACTED_S = 7_200.0
"""After a day its last hour is in one file, whose name stays."""
KEPT_DAYS = 3
FORMAT = 1


@dataclass(frozen=True)
class SettledUnits:
    """``path`` has the units that are counted at ``at``, seconds since 1970."""

    at: float
    path: Path

    @property
    def keys(self) -> Path:
        return self.path.with_suffix(".keys")


class SettledDays:
    """Of a log, by what is counted: ``rules`` and ``measures`` are plain data."""

    def __init__(self, log: EventLog, rules: Any, measures: Sequence[Any]) -> None:
        counted = json.dumps(
            [FORMAT, version("duckdb"), asdict(rules), [asdict(each) for each in measures]], default=repr
        )
        self._log, self._name = log, hashlib.sha256(counted.encode()).hexdigest()[:16]

    def latest(self, before: float) -> SettledUnits | None:
        """The last day, at most ``before``, whose events are as they were."""
        for path in sorted(self._kept(), key=_at, reverse=True):
            at = _at(path)
            if at <= before and path.stem == self.stem(at):
                return SettledUnits(at, path)
        return None

    def keep(self, at: float, stem: str, data: bytes, keys: bytes) -> None:
        """Unless events have changed since the stem was had. Whoever may only read goes without."""
        with suppress(OSError, LykeionError), self._log.turn():
            if self.stem(at) != stem:
                return
            write_atomically(self._log.derived / f"{stem}.keys", keys)
            write_atomically(self._log.derived / f"{stem}.parquet", data)
            for path in sorted(self._kept(), key=_at)[:-KEPT_DAYS]:
                path.unlink(missing_ok=True)
                path.with_suffix(".keys").unlink(missing_ok=True)

    def _kept(self) -> list[Path]:
        return list(self._log.derived.glob(f"{self._name}-*.parquet"))

    def stem(self, at: float) -> str:
        """The name of the file for a day, by the events before it."""
        earlier = "\n".join(str(path.relative_to(self._log.directory)) for path in self._log.files(until=at))
        return f"{self._name}-{int(at)}-{hashlib.sha256(earlier.encode()).hexdigest()[:32]}"


def settled_day(until: float) -> float:
    """The start of the last day that is over for good at ``until``."""
    return math.floor((until - COMPACTED_S) / DAY_S) * DAY_S


def _at(path: Path) -> float:
    return float(path.stem.split("-")[1])
