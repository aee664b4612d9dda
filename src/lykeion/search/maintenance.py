"""Keeping an index well: figures, compaction, verification, snapshots, kernels."""

from datetime import UTC, datetime
from pathlib import Path

from lykeion.core import LykeionError, Unsupported

from .index import Index, LocalIndex, Stats
from .opening import opened
from .thumbnails import FILE_NAME, Thumbnails


class RestoreError(LykeionError):
    """An exported snapshot cannot be put there."""


def stats(index: Index | str | Path) -> Stats:
    """How much an index holds, and of what."""
    with opened(index) as store:
        return store.stats()


def compact(index: Index | str | Path) -> Stats:
    """Merge small segments and give back the space of what was deleted; the figures afterwards."""
    with opened(index, "w") as store:
        store.compact()
        return store.stats()


def verify(index: str | Path) -> list[str]:
    """Read every byte of a local index and compare checksums; what is wrong, in one line each.

    Raises Unsupported for an index elsewhere.
    """
    with opened(index) as store:
        return _local(store, "verify").verify()


def snapshot(index: str | Path, name: str | None = None, *, export: str | Path | None = None) -> str:
    """Keep the present state of an index under a name, by default the time; returns the name.

    With ``export``, also write an independent copy to that directory, thumbnails included.
    """
    name = name or datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    with opened(index, "shared") as store:
        store.snapshot(name)
        if export is not None:
            _export(_local(store, "export"), Path(export))
    return name


def restore(index: str | Path, name: str | None = None, *, source: str | Path | None = None) -> None:
    """Return an index to a snapshot; or make it anew from an exported copy ``source``, where no index is yet.

    Raises NotFound, RestoreError.
    """
    if (name is None) == (source is None):
        raise RestoreError("restore a snapshot by name, or an exported copy with --from; one of the two")
    if name is not None:
        with opened(index, "w") as store:
            store.restore(name)
        return
    target = Path(index)
    if "://" in str(index) or target.exists():
        raise RestoreError(f"{index} exists; an exported copy is restored where nothing is, so name another place")
    assert source is not None
    with opened(source) as store:
        _export(_local(store, "restore from a copy"), target)


def rebuild(index: str | Path) -> None:
    """Make the search kernels of a local index anew from its stored vectors."""
    with opened(index, "w") as store:
        _local(store, "rebuild").rebuild()


def _export(index: LocalIndex, target: Path) -> None:
    index.export(target)
    Thumbnails(target / FILE_NAME).copy_from(index.path / FILE_NAME)


def _local(index: Index, operation: str) -> LocalIndex:
    if not isinstance(index, LocalIndex):
        raise Unsupported(f"{operation} is for a local index; Milvus has tools of its own for this")
    return index
