"""Events in Parquet files by day and hour of their receipt: ``day=2026-11-30/hour=14/DIGEST.parquet``.

A file is there completely or not at all, and its name is the digest of its content. It changes in no other way than
that another file takes its place: with others of its hour in one, or without a unit that is deleted. A process that
is killed leaves the old files, the new ones, or both; an event that is in two of them counts once, as one that is
sent again does.
"""

import hashlib
import io
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from lykeion.core import FileLock, Unavailable
from lykeion.core.files import write_atomically, writing

from .event_lines import UnitEvent

CHUNK = 100_000
ABANDONED_S = 3_600.0
COLUMNS = tuple(each.name for each in fields(UnitEvent))
_NUMBERS = ("at", "received", "value")


class EventLogError(Unavailable):
    """The events cannot be read or written, or a program is missing for it."""


@dataclass(frozen=True)
class Appended:
    events: int
    files: int


class EventLog:
    """Several processes may append; one at a time copies, deletes or compacts. Raises EventLogError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def append(self, events: Iterable[UnitEvent]) -> Appended:
        """On disk when it returns. Whatever ``events`` raises leaves those before it unwritten or whole hours."""
        hours: dict[str, list[UnitEvent]] = defaultdict(list)
        count = files = 0
        for each in events:
            place = _place(each.received)
            hours[place].append(each)
            count += 1
            if len(hours[place]) == CHUNK:
                self._write(place, _table(hours.pop(place)))
                files += 1
        for place in sorted(hours):
            self._write(place, _table(hours[place]))
        files += len(hours)
        return Appended(count, files)

    @property
    def derived(self) -> Path:
        """Files that can be made again from the others."""
        return self.directory / "derived"

    def files(self, since: float | None = None, until: float | None = None) -> list[Path]:
        """Also of the hour in which ``since`` is, but not of that in which ``until`` is."""
        low = "" if since is None else _place(since)
        high = "e" if until is None else _place(until)
        found = sorted(self.directory.glob("day=*/hour=*/*.parquet"))
        return [path for path in found if low <= str(path.parent.relative_to(self.directory)) < high]

    def delete(self, unit: str) -> int:
        """Rewrite the files that hold events of a unit without them; the number of events that were deleted."""
        compute = _arrow(".compute")
        deleted = 0
        with self.turn():
            shutil.rmtree(self.derived, ignore_errors=True)
            for path in self.files():
                table = _read(path)
                kept = table.filter(compute.not_equal(table["unit"], unit))
                if kept.num_rows < table.num_rows:
                    deleted += table.num_rows - kept.num_rows
                    self._replace([path], kept)
        return deleted

    def compact(self, before: float) -> int:
        """One file an hour, of the hours that ended before; the number of files that are gone."""
        arrow = _arrow()
        gone = 0
        with self.turn():
            hours: dict[str, list[Path]] = defaultdict(list)
            for path in self.files():
                hours[str(path.parent.relative_to(self.directory))].append(path)
            for place, paths in hours.items():
                if len(paths) > 1 and place < _place(before):
                    together = arrow.concat_tables([_read(path) for path in paths])
                    rows = together.group_by(list(COLUMNS)).aggregate([])  # each once, if a process was killed here
                    self._replace(paths, rows.sort_by([(name, "ascending") for name in ("unit", "received", "id")]))
                    gone += len(paths) - 1
        return gone

    def turn(self) -> "_Turn":
        """Nobody else deletes, compacts or copies within it."""
        return _Turn(self.directory)

    def _write(self, place: str, table: Any) -> Path:
        buffer = io.BytesIO()
        _arrow(".parquet").write_table(table, buffer, compression="zstd")
        data = buffer.getvalue()
        path = self.directory / place / f"{hashlib.sha256(data).hexdigest()[:32]}.parquet"
        with writing(path, EventLogError):
            write_atomically(path, data)
        return path

    def _replace(self, old: Sequence[Path], table: Any) -> None:
        made = self._write(str(old[0].parent.relative_to(self.directory)), table) if table.num_rows else None
        for path in old:
            if path != made:
                with writing(path, EventLogError):
                    path.unlink(missing_ok=True)


class _Turn:
    """The lock of those who replace files; what killed writers left is removed."""

    def __init__(self, directory: Path) -> None:
        with writing(directory, EventLogError):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory, self._lock = directory, FileLock(directory / "lock")

    def __enter__(self) -> None:
        self._lock.acquire(name="turn")
        for path in self._directory.glob("day=*/hour=*/.*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    path.unlink()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()


def _place(received: float) -> str:
    try:
        hour = datetime.fromtimestamp(received, UTC)
    except (ValueError, OverflowError, OSError):
        raise EventLogError(f"an event was received at {received:g}, which is no time") from None
    return f"day={hour:%Y-%m-%d}/hour={hour:%H}"


def _table(events: Sequence[UnitEvent]) -> Any:
    arrow = _arrow()
    columns = {
        name: arrow.array(
            [getattr(each, name) for each in events], arrow.float64() if name in _NUMBERS else arrow.string()
        )
        for name in COLUMNS
    }
    return arrow.table(columns)


def _read(path: Path) -> Any:
    with suppress(FileNotFoundError):
        try:
            return _arrow(".parquet").read_table(path, partitioning=None)
        except (OSError, ValueError) as error:
            raise EventLogError(f"{path}: cannot be read: {error}") from None
    raise EventLogError(f"{path}: is gone; do it again")


def _arrow(part: str = "") -> Any:
    try:
        return import_module(f"pyarrow{part}")
    except ImportError:
        raise EventLogError("events need pyarrow: pip install 'lykeion[experiments]'") from None
