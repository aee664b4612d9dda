"""Restoring a state that was kept, and exporting one as a separate index."""

import shutil
from dataclasses import replace
from pathlib import Path

from lykeion.core import write_atomically
from lykeion.search.index.errors import IndexFormatError
from lykeion.search.index.local.disk.store import Manifest, Store
from lykeion.search.index.local.disk.writer_lock import WriterLock

from .seal import commit


def restore(store: Store, name: str) -> None:
    """Return to a snapshot or a past generation; the current state may be damaged. Raises NotFound.

    Requires the writer lock. The state becomes current under the next generation and log that were never used.
    """
    kept = store.kept(name)
    generation = max((int(path.stem) for path in (store.path / "manifests").glob("[0-9]*.json")), default=0)
    log = max((int(path.stem) for path in store.logs.glob("[0-9]*.log")), default=0)
    commit(store, replace(kept, generation=generation, log=log).next())


def restore_damaged(path: Path, name: str) -> None:
    """``restore`` for an index in the directory ``path`` that cannot be opened. Raises NotFound, IndexLocked."""
    store = Store(path)
    store.identity()
    lock = WriterLock(path / "LOCK")
    lock.take()
    try:
        restore(store, name)
    finally:
        lock.release()


def export(store: Store, manifest: Manifest, path: Path) -> None:
    """Copy one state into a new directory, which is an index once the last file is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()  # of two concurrent exports, only one succeeds
    except FileExistsError:
        raise IndexFormatError(f"{path} exists; an export goes to a new directory") from None
    copy = Store(path)
    try:
        copy.take(store, manifest.segments, shutil.copy2)
        for name in ("manifests", "overlays", "snapshots", "segments"):
            (path / name).mkdir(parents=True, exist_ok=True)
        write_atomically(path / "index.json", (store.path / "index.json").read_bytes())
        commit(copy, manifest)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
