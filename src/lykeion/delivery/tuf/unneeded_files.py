"""Files of a repository that its metadata no longer lead to: removed after a time, as devices may be fetching them.

All versions of the root are kept for ever: a device that was off for years follows them one by one.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Root, Timestamp

from lykeion.core import read_json, write_atomically
from lykeion.delivery.errors import DeliveryError
from lykeion.device import companion_path, delta_path

from .target_sets import files_of, models_of, records_of
from .tuf_repository import TufRepository
from .tuf_state import PUBLIC, TufState

GRACE = timedelta(days=7)
MARKS = "unneeded.json"


def remove_unneeded(repository: TufRepository, state: TufState, grace: timedelta = GRACE) -> list[str]:
    """Remove what has been unneeded for the time of ``grace``, and return its paths."""
    public, now = repository.home / PUBLIC, repository.clock()
    there = [path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file()]
    marks = marked(there, set(needed_paths(state)), _read_marks(repository.home), now)
    gone = [path for path, since in marks.items() if now - since >= grace]
    left = {path: since.isoformat() for path, since in marks.items() if path not in gone}
    write_atomically(repository.home / MARKS, (json.dumps(left, indent=1, sort_keys=True) + "\n").encode())
    for path in gone:
        (public / path).unlink(missing_ok=True)
    return sorted(gone)


def marked(
    there: Iterable[str], needed: set[str], before: Mapping[str, datetime], now: datetime
) -> dict[str, datetime]:
    """The files that are not needed, and since when, as far as it was seen."""
    return {path: min(before.get(path, now), now) for path in there if path not in needed and not _is_root(path)}


def needed_paths(state: TufState) -> Iterator[str]:
    """Below the public folder."""
    for role, metadata in state.every():
        if role not in (Root.type, Timestamp.type):
            yield f"metadata/{metadata.signed.version}.{role}.json"
    yield "metadata/timestamp.json"
    for model in models_of(state):
        files = files_of(state, model)
        for file in files.values():
            yield f"targets/{file.get_prefixed_paths()[0]}"
        for record in records_of(files).values():
            for delta in record.deltas:
                yield f"targets/{delta_path(model, delta.digest)}"
            if record.companion:
                yield f"targets/{companion_path(model, record.companion.digest)}"


def _is_root(path: str) -> bool:
    return path.startswith("metadata/") and path.endswith(".root.json")


def _read_marks(home: Path) -> dict[str, datetime]:
    """Empty where there are none, or none that can be read: the time begins again."""
    try:
        plain = read_json(home / MARKS, DeliveryError)
        return {path: datetime.fromisoformat(str(since)) for path, since in plain.items()}
    except (DeliveryError, ValueError):
        return {}
