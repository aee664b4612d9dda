"""Opening an index for one call, and checking that its vectors are the embedder's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .index import EmbedderMismatch, Index, Mode, open_index

if TYPE_CHECKING:
    from .embedder import Embedder


@contextmanager
def opened(index: Index | str | Path, mode: Mode = "r") -> Iterator[Index]:
    """The index itself if it is already open; else it is open inside the context."""
    if not isinstance(index, str | Path):
        yield index
        return
    with open_index(index, mode) as store:
        yield store


def check_embedder(index: Index, embedder: "Embedder") -> None:
    """Raises EmbedderMismatch unless the index holds vectors of this embedder."""
    if index.embedder != embedder.digest:
        raise EmbedderMismatch.of("the index", "embedder", index.embedder, embedder.digest)
