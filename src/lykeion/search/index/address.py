"""What an address names, opened: a directory, or a collection of Milvus."""

from pathlib import Path
from typing import Any

from lykeion.core import LykeionError

from .local.disk.store import Identity
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
    "shared" takes it for each write. An index that is missing is made where the mode writes and ``dimension`` is
    given. Options of a directory: when it is made ``dtype`` (float16, float32), ``kernel`` (auto, exact, hnsw, ivf)
    and ``compaction`` (size, time); and those of LocalIndex. Raises IndexFormatError, EmbedderMismatch, IndexLocked,
    NotFound.
    """
    if "://" in str(uri):
        if options:
            raise LykeionError(f"an index on Milvus has no option {next(iter(options))!r}")
        from .milvus.milvus_index import open_milvus

        return open_milvus(str(uri), mode, dimension=dimension, metric=metric, embedder=embedder)
    choices = {name: options.pop(name) for name in _CREATION if name in options}
    create = None if dimension is None else Identity(dimension, metric, embedder, **choices)
    return LocalIndex(Path(uri), mode, create=create, **options)
