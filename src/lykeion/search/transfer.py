"""From index to index: shards into one, or a whole index to another place."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lykeion.core import Progress

from .index import EmbedderMismatch, Index, LocalIndex, open_index
from .opening import opened
from .thumbnails import Thumbnails, thumbnails_path

BATCH = 1024


def merge(
    out: str | Path,
    sources: Sequence[str | Path],
    *,
    thumbnails: bool | str | Path = True,
    quiet: bool = False,
    **options: Any,
) -> int:
    """Put all products of ``sources`` into ``out``, which is made if it is not there; returns its products.

    Where several hold a photo of one product and name, the last one's stays, and so do its attributes. Local indexes
    are merged by linking their files, others photo by photo; running it again does no harm. ``options`` are those of
    ``open_index``. Raises EmbedderMismatch unless all hold vectors of one embedder, dimension and metric.
    """
    with opened(sources[0]) as first:
        shape = {"dimension": first.dimension, "metric": first.metric, "embedder": first.embedder}
    file = thumbnails_path(out, thumbnails)
    with closing(open_index(out, "w", **shape, **options)) as target:
        for source in sources:
            with opened(source) as store:
                _check(store, target, source)
                if isinstance(target, LocalIndex) and isinstance(store, LocalIndex):
                    target.merge_from(store.path)
                else:
                    _copy_photos(store, target, str(source), quiet)
            pictures = thumbnails_path(source)
            if file and pictures:
                with closing(Thumbnails(file)) as small:
                    small.copy_from(pictures)
        return target.count()


def copy(source: str | Path, to: str | Path, *, quiet: bool = False, **options: Any) -> int:
    """Put all products of one index into another, say from a directory to Milvus; returns the other's products."""
    return merge(to, [source], quiet=quiet, **options)


def _check(store: Index, target: Index, source: str | Path) -> None:
    for what in ("embedder", "dimension", "metric"):
        theirs, ours = getattr(store, what), getattr(target, what)
        if theirs != ours:
            raise EmbedderMismatch(f"{source} has the {what} {theirs or 'none'}, the target {ours or 'none'}")


def _copy_photos(store: Index, target: Index, name: str, quiet: bool) -> None:
    with Progress(f"copying {name}", store.stats().photos, unit="photos", quiet=quiet) as progress:
        for rows in store.scan(vectors=True, batch=BATCH):
            assert rows.vectors is not None
            target.upsert(rows.ids, rows.vectors, rows.attributes, photos=rows.photos)
            progress.advance(len(rows.ids))
