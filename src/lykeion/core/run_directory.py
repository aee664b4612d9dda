"""A run directory belongs to one request, and to one process at a time.

Asked for the same again, a run is resumed; asked for another, refused.
"""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from .documents import read_json
from .errors import LykeionError
from .files import write_atomically, writing
from .lock import FileLock, Locked, locked

LIMIT_REQUEST_BYTES = 64 << 20


def claim_run(
    file: Path,
    what: str,
    request: Mapping[str, Any],
    error: type[LykeionError],
    *,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Claim the directory of ``file`` for the request, which ``file`` keeps as JSON from the start of the run.

    ``what`` is the kind of run, such as a search; ``about`` is stored with the request and never compared.
    Raises ``error`` if the directory belongs to another request, naming what differs, or cannot be written;
    LockError.
    """
    asked: dict[str, Any] = json.loads(json.dumps(request))
    with writing(file, error, "give another --run"):
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.parent, create=False):
            if not file.exists():
                document = {**asked, **(about or {})}
                write_atomically(file, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
                return
    kept = read_json(file, error, what, limit=LIMIT_REQUEST_BYTES)
    before = dict(_flat({name: kept.get(name) for name in asked}))
    now = dict(_flat(asked))
    if names := [name for name in before | now if before.get(name) != now.get(name)]:
        name, more = names[0], f"; {len(names) - 1} more differ" if names[1:] else ""
        raise error(
            f"{file.parent} holds a {what} with another {name}; give another --run, or the same request to resume it "
            f"({name} {_short(before.get(name))}, not {_short(now.get(name))}{more})"
        )


@contextmanager
def working_in(run: Path, error: type[LykeionError]) -> Generator[None]:
    """No other process works in the run directory meanwhile. Raises ``error`` where one does already, LockError."""
    with writing(run, error, "give another --run"):
        run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / ".lock")
    try:
        lock.acquire(wait_s=0, name="session")
    except Locked as held:
        raise error(f"process {held.pid} works in {run}; wait for it or end it, or give another --run") from None
    try:
        yield
    finally:
        lock.release()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in cast(dict[str, Any], value).items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
