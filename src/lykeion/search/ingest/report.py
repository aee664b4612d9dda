"""What came of an ingest, and the file that lists what failed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from lykeion.core import visible_json

from .photo_source import Failure


@dataclass(slots=True)
class IngestReport:
    """Counts of photos, save ``updated``: products whose attributes alone were written."""

    added: int = 0
    """Embedded and written: new, with other bytes than before, or named to be embedded again."""
    unchanged: int = 0
    """Already in the index with the same bytes."""
    updated: int = 0
    failed: int = 0
    deleted: int = 0
    """No longer listed by the source (with ``sync``)."""
    skipped: int = 0
    """Files of the folder that are no photos."""
    seconds: float = 0.0
    failures: str = ""
    """The file that lists all failures, one JSON object a line: id, photo, file, cause."""
    first_failures: list[Failure] = field(default_factory=list)
    not_synced: str = ""
    """Why nothing was deleted although ``sync`` was asked."""
    not_reembedded: list[str] = field(default_factory=list)
    """The patterns of ``reembed`` that no photo's name matched."""

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
        """What a person should know went wrong, a line each."""
        lines = [f"failed: {failure.file}: {failure.cause}" for failure in self.first_failures]
        if self.failures:
            lines.append(f"all {self.failed:,} failures are listed in {self.failures}")
        if self.not_synced:
            lines.append(f"nothing was deleted: {self.not_synced}")
        lines += [f"no photo's name matches {pattern!r}" for pattern in self.not_reembedded]
        return lines

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class FailureLog:
    """Writes failures as JSON lines. The file is made with the first one; one of an earlier run is removed."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.count = path, 0
        self.first: list[Failure] = []
        """The first few, to show."""
        self._file: TextIO | None = None
        if path is not None:
            path.unlink(missing_ok=True)

    def add(self, failure: Failure) -> None:
        self.count += 1
        if len(self.first) < 5:
            self.first.append(failure)
        if self.path is not None:
            if self._file is None:
                self._file = self.path.open("w", encoding="utf-8")
            self._file.write(visible_json(json.dumps(asdict(failure), ensure_ascii=False)) + "\n")

    def __enter__(self) -> "FailureLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
