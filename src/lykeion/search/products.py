"""Products of an index: search, lookup by id, deletion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lykeion.vision import Box

from .index import Hit, Index, Product
from .opening import check_embedder, opened
from .thumbnails import IN_INDEX, ThumbnailPlace, Thumbnails

if TYPE_CHECKING:
    from .embedder import Embedder
    from .embedder_engine import EngineWish


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The query, a photo's name or a product's id, and the products nearest to it, best first."""

    query: str
    results: list[Hit]

    def to_json(self) -> dict[str, object]:
        return {"query": self.query, "results": [hit._asdict() for hit in self.results]}


def query(
    index: Index | str | Path,
    photos: str | Path | bytes | Sequence[str | Path | bytes] = (),
    *,
    ids: str | Sequence[str] = (),
    k: int = 10,
    where: str | None = None,
    box: Box | str | None = None,
    embedder: "Embedder | str | Path | None" = None,
    engine: "EngineWish | None" = None,
) -> list[QueryAnswer]:
    """The ``k`` products nearest to each photo (a file, or its bytes), then to each stored product of ``ids``.

    ``where`` filters the answers, ``box`` ("left,top,right,bottom") is the part of the photos to search by, and
    ``embedder`` the one of the index, if it is not the default; ``engine`` runs it, if not LiteRT. Raises PhotoError,
    WhereError, NotFound, EmbedderMismatch, and what opening the index and Embedder.load raise.
    """
    pictures = [photos] if isinstance(photos, str | Path | bytes) else list(photos)
    products = [ids] if isinstance(ids, str) else list(ids)
    area = Box.parse(box) if isinstance(box, str) else box
    answers: list[QueryAnswer] = []
    with opened(index) as store:
        if pictures:
            from .embedder import Embedder
            from .embedder_engine import LITERT

            model = embedder if isinstance(embedder, Embedder) else Embedder.load(embedder, engine or LITERT)
            check_embedder(store, model)
            names = ["photo" if isinstance(picture, bytes) else str(picture) for picture in pictures]
            vectors = np.stack(
                [
                    model.embed_photo(
                        Path(picture) if isinstance(picture, str) else picture, name=name, box=area
                    ).vector
                    for picture, name in zip(pictures, names, strict=True)
                ]
            )
            answers += map(QueryAnswer, names, store.search(vectors, k, where=where))
        if products:
            answers += map(QueryAnswer, products, store.search(products, k, where=where))
    return answers


def get(index: Index | str | Path, ids: Sequence[str]) -> list[Product | None]:
    """The stored products, None for an unknown id."""
    with opened(index) as store:
        return store.get(ids)


def delete(index: str | Path, ids: Sequence[str], *, thumbnails: ThumbnailPlace = IN_INDEX) -> int:
    """Delete products with all their photos and thumbnails. Returns the number deleted."""
    with opened(index, "shared") as store:
        count = store.delete(ids)
    if file := thumbnails.of(index):
        Thumbnails(file).delete(ids)
    return count


def draw_answer(
    sheet: Path,
    answer: QueryAnswer,
    index: str | Path,
    *,
    by_id: bool = False,
    box: Box | str | None = None,
    thumbnails: ThumbnailPlace = IN_INDEX,
) -> None:
    """Draw a query, a photo's file or (``by_id``) a product, and its answers as a PNG."""
    from .sheet import draw_sheet

    small = thumbnails.reader(index)
    picture = small(answer.query, "") if by_id else Path(answer.query)
    area = Box.parse(box) if isinstance(box, str) and not by_id else None
    draw_sheet(sheet, picture, answer.results, small, title=answer.query, box=area)
