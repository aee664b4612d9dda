"""Opening an index by its address: a directory, or a Milvus collection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lykeion.core import Conflict, LykeionError

from .local.disk.store import Identity, Store
from .local.local_index import LocalIndex
from .protocol import Index, Metric, Mode

_CREATION = ("dtype", "kernel", "compaction")


def open_index(
    uri: str | Path,
    mode: Mode = "r",
    *,
    dimension: int | None = None,
    metric: Metric = "cosine",
    embedder: str = "",
    **options: Any,
) -> Index:
    """Open an index: a directory, milvus://host:port/collection, or milvus:///path/file.db/collection.

    That of a server may end in ``?consistency=strong``, ``session`` (the default) or ``bounded``.

    Mode "r" reads and follows other processes' writes within 1 s; "w" holds the writer lock until ``close``;
    "shared" takes it for each write. A missing index is created if the mode writes and ``dimension`` is given.
    Options of a directory: on creation ``dtype`` (float16, float32), ``kernel`` (auto, exact, hnsw, ivf)
    and ``compaction`` (size, time), which an index that is there must have; and those of LocalIndex. Raises
    IndexFormatError, EmbedderMismatch, Conflict, IndexLocked, NotFound.

    An index that was made by this call, and that nothing was written to, goes again where its ``with`` ends with an
    error.
    """
    if "://" in str(uri):
        if options:
            raise LykeionError(f"an index on Milvus has no option {next(iter(options))!r}")
        from .milvus.milvus_index import open_milvus

        return open_milvus(str(uri), mode, dimension=dimension, metric=metric, embedder=embedder)
    choices = {name: options.pop(name) for name in _CREATION if name in options}
    _check_choices(Path(uri), choices)
    create = None if dimension is None else Identity(dimension, metric, embedder, **choices)
    return LocalIndex(Path(uri), mode, create=create, **options)


def _check_choices(path: Path, choices: Mapping[str, str]) -> None:
    """Raises Conflict where the index is there and was made with others."""
    store = Store(path)
    found = store.identity() if choices and store.exists() else None
    for name, wanted in choices.items():
        if found and (holds := getattr(found, name)) != wanted:
            raise Conflict(
                f"{path} was made with {name} {holds}, not {wanted}; that is for a new index: leave it out, or name "
                "another"
            )
