"""Transfer between indexes: merging shards into one, or copying a whole index."""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lykeion.core import CONSOLE, Invalid, Reporter

from .index import EmbedderMismatch, Index, Rows, open_index
from .opening import opened
from .thumbnails import IN_INDEX, ThumbnailPlace, Thumbnails

BATCH = 4096


class TransferError(Invalid):
    """These indexes cannot be merged."""


def merge(
    out: str | Path,
    sources: Sequence[str | Path],
    *,
    thumbnails: ThumbnailPlace = IN_INDEX,
    reporter: Reporter = CONSOLE,
    **options: Any,
) -> int:
    """Add all products of ``sources`` to ``out``, which is created if missing; returns how many it then has.

    A product that is in several sources is taken from the last one, with the attributes it has there. Local indexes
    are merged by linking their files, after sealing their logs, or those of a copy where they cannot be written to;
    others photo by photo, which can safely be repeated.
    ``options`` are those of ``open_index``. Raises TransferError, and EmbedderMismatch unless all hold vectors of one
    embedder, dimension and metric.
    """
    if not sources or any(_same(out, source) for source in sources):
        raise TransferError("name one index to write and at least one other to read")
    with opened(sources[0]) as first:
        shape: dict[str, Any] = {"dimension": first.dimension, "metric": first.metric, "embedder": first.embedder}
        if first.path is not None and "://" not in str(out):
            shape["dtype"] = first.dtype
    file = thumbnails.of(out)
    with open_index(out, "w", **(shape | options)) as target:
        for source in sources:
            with opened(source) as store:
                _check(store, target, source)
                local = target.path is not None and store.path is not None
                if not local:
                    _copy_photos(store, target, str(source), reporter)
            with _writable(source, target.path) as place:
                if local:
                    target.merge_from(Path(place))
                pictures = IN_INDEX.of(place)
                if file and pictures:
                    with closing(Thumbnails(file)) as small:
                        small.copy_from(pictures)
        return target.count()


def copy(source: str | Path, to: str | Path, **options: Any) -> int:
    """Add all products of one index to another, such as from a directory to Milvus; like ``merge`` of one source."""
    return merge(to, [source], **options)


def _same(out: str | Path, source: str | Path) -> bool:
    if "://" in str(out):  # an address may end in options
        return str(out).partition("?")[0] == str(source).partition("?")[0]
    return str(out) == str(source) or Path(out).resolve() == Path(source).resolve()


@contextmanager
def _writable(source: str | Path, beside: Path | None) -> Generator[str | Path]:
    """An index that may be written to is its own; of one on a read-only file system, which nobody writes, a copy."""
    if "://" in str(source) or beside is None or os.access(source, os.W_OK):
        yield source
        return
    with TemporaryDirectory(dir=beside.absolute().parent, prefix=".merging-") as place:
        yield shutil.copytree(source, Path(place, "index"))


def _check(store: Index, target: Index, source: str | Path) -> None:
    for what in ("embedder", "dimension", "metric"):
        theirs, ours = getattr(store, what), getattr(target, what)
        if theirs != ours:
            raise EmbedderMismatch.of(source, what, theirs, ours)


def _copy_photos(store: Index, target: Index, name: str, reporter: Reporter) -> None:
    with reporter.progress(f"copying {name}", store.stats().photos, unit="photos") as progress:
        for rows in store.scan(vectors=True, batch=BATCH):
            assert rows.vectors is not None
            others = _others(store, target, rows)
            target.upsert(rows.ids, rows.vectors, rows.attributes, photos=rows.photos)
            if others:
                target.delete([id for id, _ in others], photos=[photo for _, photo in others])
            progress.advance(len(rows.ids))


def _others(store: Index, target: Index, rows: Rows) -> list[tuple[str, str]]:
    """The target's photos of these products, by id and name, that the store does not have.

    Called before they are written, since Milvus answers without waiting only about products not just written.
    """
    ids = list(dict.fromkeys(rows.ids))
    ours = [(product.id, photo.name) for product in target.get(ids) if product for photo in product.photos]
    if not ours:
        return []
    theirs = {(product.id, photo.name) for product in store.get(ids) if product for photo in product.photos}
    return [pair for pair in ours if pair not in theirs]
