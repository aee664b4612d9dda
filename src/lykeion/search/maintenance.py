"""Maintenance of an index: statistics, compaction, verification, snapshots, kernels."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from lykeion.core import Invalid, copy_tree, fsync_directory

from .index import ColumnType, CorruptIndex, Index, SchemaError, Stats, restore_damaged
from .opening import opened
from .thumbnails import FILE_NAME, Thumbnails


class RestoreError(Invalid):
    """An exported snapshot cannot be restored there."""


def stats(index: Index | str | Path) -> Stats:
    """Statistics of an index."""
    with opened(index) as store:
        return store.stats()


def compact(index: Index | str | Path) -> Stats:
    """Merge all segments and reclaim the space of deleted photos; the statistics afterwards."""
    with opened(index, "shared") as store:
        store.compact(full=True)
        return store.stats()


def column(
    index: Index | str | Path,
    name: str,
    *,
    retype: ColumnType | None = None,
    rename: str | None = None,
    drop: bool = False,
    clear: bool = False,
) -> int:
    """Change the type or the name of a column of a local index, or drop it. Snapshots keep their columns.

    For a new type, each value is converted through its text. With ``clear``, a value that cannot be converted becomes
    null; without it, SchemaError names the value and nothing changes. Returns how many products lost a value. Raises
    NotFound, SchemaError, and Unsupported for an index that is not local.
    """
    if (retype is not None) + (rename is not None) + drop != 1 or (clear and retype is None):
        raise SchemaError(f"column {name!r}: retype, rename or drop it, one at a time; clear goes with retype")
    with opened(index, "shared") as store:
        if retype is not None:
            return store.retype_column(name, retype, clear=clear)
        if rename is not None:
            store.rename_column(name, rename)
        else:
            store.drop_column(name)
        return 0


def verify(index: str | Path) -> list[str]:
    """Read every byte of a local index and compare checksums; returns one line per problem.

    Raises Unsupported for an index on Milvus.
    """
    with opened(index) as store:
        return store.verify()


def snapshot(index: str | Path, name: str | None = None, *, export: str | Path | None = None) -> str | None:
    """Keep the current state of an index under a name, by default the time; returns the name.

    With ``export``, write an independent copy to that directory, thumbnails included. Without a name, only that copy
    is then made, and None is returned.
    """
    if name is None and export is None:
        name = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    with opened(index, "shared") as store:
        if name is not None:
            store.snapshot(name)
        if export is not None:
            store.export(Path(export))
            Thumbnails(Path(export) / FILE_NAME).copy_from(Path(index) / FILE_NAME)
    return name


def drop_snapshot(index: str | Path, name: str) -> None:
    """Delete a snapshot of a local index; the next compaction reclaims its space. Raises NotFound."""
    with opened(index, "shared") as store:
        store.drop_snapshot(name)


def restore(index: str | Path, name: str | None = None, *, source: str | Path | None = None) -> None:
    """Return an index to a snapshot, even if it is too damaged to open; or create it from a copy if none exists.

    ``source`` is an exported copy, verified before it becomes the index. Raises NotFound, RestoreError, CorruptIndex.
    """
    if name is not None and source is None:
        try:
            with opened(index, "shared") as store:
                store.restore(name)
        except CorruptIndex:  # the current state cannot be opened; the snapshot may be intact
            restore_damaged(Path(index), name)
    elif source is not None and name is None:
        _restore_copy(Path(source), Path(index))
    else:
        raise RestoreError("give either a snapshot's name or an exported copy")


def rebuild(index: str | Path) -> None:
    """Rebuild the search kernels of a local index from its stored vectors."""
    with opened(index, "shared") as store:
        store.rebuild()


def _restore_copy(source: Path, target: Path) -> None:
    there = RestoreError(f"{target} exists; an exported copy needs a new directory; name another one")
    if "://" in str(target) or target.exists():
        raise there
    stats(source)  # raises if it is not an index
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        copy = Path(temporary) / target.name
        copy_tree(source, copy, leave_out=lambda name: name.startswith(FILE_NAME))
        Thumbnails(copy / FILE_NAME).copy_from(source / FILE_NAME)
        if problems := verify(copy):
            raise CorruptIndex(f"{source} is damaged: {problems[0].replace(str(copy), str(source))}")
        try:
            copy.rename(target)
        except OSError as error:
            raise there if target.exists() else error from None
        fsync_directory(target.parent)
