"""The result of an ingest, and the files that list failures and skipped files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Generic, TextIO, TypeVar

from lykeion.core import visible_json

from .photo_source import Failure, Skipped

SHOWN = 10
"""Entries of each kind in the report; the files list all."""

T = TypeVar("T", Failure, Skipped)


@dataclass(slots=True)
class IngestReport:
    """Counts. Each photo that the source lists is counted once: added, unchanged or failed."""

    added: int = 0
    """Photos embedded and written: new, with changed bytes, or selected by ``reembed``."""
    unchanged: int = 0
    """Photos already in the index with the same bytes."""
    updated: int = 0
    """Products of which only the attributes were written."""
    failed: int = 0
    deleted: int = 0
    """Photos no longer listed by the source (with ``sync``)."""
    skipped: int = 0
    """Files and hidden folders of the folder that are not photos."""
    seconds: float = 0.0
    failures: str = ""
    """The file that lists all failures, one JSON object per line: id, photo, file, cause."""
    skipped_list: str = ""
    """The file that lists all skipped files and folders, one JSON object per line: file, cause."""
    first_failures: list[Failure] = field(default_factory=list)
    first_skipped: list[Skipped] = field(default_factory=list)
    not_added: str = ""
    """Why the run had nothing to do; empty if the source lists a photo."""
    not_synced: str = ""
    """Why nothing was deleted although ``sync`` was set."""
    not_reembedded: list[str] = field(default_factory=list)
    """The patterns of ``reembed`` that no photo's name matched."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about the source, such as a column of numbers that is read as text; already given to the reporter."""

    @property
    def complete(self) -> bool:
        """Whether everything requested was done."""
        return not (self.failed or self.not_added or self.not_synced or self.not_reembedded)

    def summary(self) -> str:
        """One line."""
        counts = ", ".join(
            f"{name} {getattr(self, name):,}"
            for name in ("added", "unchanged", "updated", "failed", "deleted", "skipped")
            if getattr(self, name) or name == "added"
        )
        return (
            f"{counts}; {self.seconds:.1f} s, {(self.added + self.unchanged) / max(self.seconds, 1e-3):,.0f} photos/s"
        )

    def complaints(self) -> list[str]:
        """Problems that the user should know about, one line each."""
        lines = [f"failed: {failure.file}: {failure.cause}" for failure in self.first_failures]
        if self.failures:
            lines.append(f"all {self.failed:,} failures are listed in {self.failures}")
        lines += [f"skipped: {skipped.file}: {skipped.cause}" for skipped in self.first_skipped]
        if self.skipped_list:
            lines.append(f"all {self.skipped:,} that were skipped are listed in {self.skipped_list}")
        elif self.skipped > len(self.first_skipped):
            more = self.skipped - len(self.first_skipped)
            lines.append(f"{more:,} more were skipped; --skipped FILE lists all")
        if self.not_added:
            lines.append(f"nothing was added: {self.not_added}")
        if self.not_synced:
            lines.append(f"nothing was deleted: {self.not_synced}")
        lines += [f"no photo's name matches {pattern!r}" for pattern in self.not_reembedded]
        return lines

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class EntryLog(Generic[T]):
    """Writes entries as JSON lines. The file is created with the first one; that of an earlier run is removed."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.count = path, 0
        self.first: list[T] = []
        """The first few, to display."""
        self._file: TextIO | None = None
        if path is not None:
            path.unlink(missing_ok=True)

    @property
    def written(self) -> str:
        """The file's path; empty if nothing was written."""
        return str(self.path) if self.count and self.path else ""

    def add(self, entry: T) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(entry)
        if self.path is not None:
            if self._file is None:
                self._file = self.path.open("w", encoding="utf-8")
            self._file.write(visible_json(json.dumps(asdict(entry), ensure_ascii=False)) + "\n")

    def __enter__(self) -> "EntryLog[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
