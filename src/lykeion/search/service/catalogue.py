"""The service without HTTP: an index, the embedder of its vectors, and thumbnails of its photos.

Every method blocks and is called in a worker thread; a search by photo is a single call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import numpy as np

from lykeion.core import Invalid, Unsupported
from lykeion.search.embedder import Embedder
from lykeion.search.index import EmbedderMismatch, Index, Value, open_index
from lykeion.search.maintenance import column
from lykeion.search.precision_price import PrecisionPrice, precision_price
from lykeion.search.thumbnails import IN_INDEX, SIDE, ThumbnailPlace, Thumbnails
from lykeion.vision import Box

from .bounds import MAX_OFFSET
from .index_sources import IndexEdition
from .sample import SAMPLED_ROWS, by_category
from .shapes import ChangeColumn, ChangedItem, Item, PhotographedItem

_PRICED_PHOTOS = 32


class CannotEmbed(Unsupported):
    """The index holds vectors of an external embedder, so photos cannot be embedded here."""


class WrongVector(Invalid):
    """A vector that does not fit the index."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which answers are requested."""

    where: str | None = None
    k: int = 20
    offset: int = 0


def open_catalogue(
    edition: IndexEdition, load: Callable[[Index], Embedder | None], thumbnails: ThumbnailPlace = IN_INDEX
) -> "Catalogue":
    """Open an index, locked only during writes, with the embedder that ``load`` returns for it, and its thumbnails,
    or those of the file that ``thumbnails`` names.

    Raises EmbedderMismatch if the embedder is not the index's, ThumbnailError, what ``load`` and open_index raise.
    """
    index = open_index(edition.uri, "r", follow=False) if edition.read_only else open_index(edition.uri, "shared")
    try:
        pictures = None
        if file := thumbnails.of(edition.uri):
            pictures = Thumbnails(file, immutable=edition.read_only)
            pictures.check()
        loaded = load(index)
        if loaded is not None and loaded.digest != index.embedder:
            raise EmbedderMismatch.of(edition.uri, "embedder", index.embedder, loaded.digest)
        return Catalogue(index, loaded, pictures, _price(index, loaded, pictures), id=edition.id)
    except BaseException:
        index.close()
        raise


def _price(index: Index, embedder: Embedder | None, thumbnails: Thumbnails | None) -> PrecisionPrice | None:
    """What the embedder's precision costs, if it is not the index's, by a few photos."""
    if embedder is None or embedder.engine.precision == "exact" or thumbnails is None:
        return None
    exact = Embedder(embedder.path, embedder.card)
    return precision_price(index, thumbnails.get, embedder, exact, photos=_PRICED_PHOTOS)


class Catalogue:
    """Products to search and change. ``id`` says in answers which index they come from. Thread-safe."""

    def __init__(
        self,
        index: Index,
        embedder: Embedder | None,
        thumbnails: Thumbnails | None,
        price: PrecisionPrice | None = None,
        *,
        id: str = "",
    ) -> None:
        self.index, self.embedder, self.thumbnails, self.id = index, embedder, thumbnails, id
        self._price = price

    def check(self) -> None:
        """Raise if searches would fail: the index is damaged, unreachable, or replaced by another one."""
        self.index.count()

    def search_photo(self, photo: bytes, name: str, box: str | None, page: Page, *, vector: bool) -> dict[str, Any]:
        embedder = self._embedder()
        embedded = embedder.embed_photo(photo, name=name, box=Box.parse(box) if box else None)
        answer = self._search(embedded.vector[None], page)
        return answer | {"vector": embedded.vector.tolist()} if vector else answer

    def search_vector(self, vector: Sequence[float], page: Page, embedder: str | None = None) -> dict[str, Any]:
        """Raises EmbedderMismatch if the vector is of another ``embedder`` than the index."""
        if embedder is not None and embedder != self.index.embedder:
            raise EmbedderMismatch.of(self.id or "this index", "embedder", self.index.embedder, embedder)
        return self._search(self._vectors([vector]), page)

    def search_id(self, id: str, page: Page) -> dict[str, Any]:
        return self._search([id], page)

    def sample(self, count: int, where: str | None) -> dict[str, Any]:
        """A few products (that match ``where``), by category; the same until the index changes."""
        rows = self.index.sample(SAMPLED_ROWS, where)
        by, chosen = by_category(rows.attributes, count)
        return {
            "results": [self._shown(rows.ids[n], rows.photos[n].name, rows.attributes[n]) for n in chosen],
            "by": by,
            "index": self.id,
        }

    def count(self, where: str | None) -> int:
        """How many products there are (that match)."""
        return self.index.count(where)

    def put(self, items: Sequence[Item]) -> int:
        """Replace whole products, given their vectors. Returns how many."""
        ids = [item.id for item in items for _ in item.vectors]
        vectors = self._vectors([vector for item in items for vector in item.vectors])
        self.index.upsert(ids, vectors, [item.attributes for item in items for _ in item.vectors])
        if self.thumbnails is not None:
            self.thumbnails.delete(ids)
        return len(items)

    def embed(self, photo: bytes, name: str) -> tuple[np.ndarray, bytes | None]:
        """Vector and thumbnail of a photo, for ``put_embedded``."""
        side = None if self.thumbnails is None else SIDE
        embedded = self._embedder().embed_photo(photo, name=name, thumbnail=side)
        return embedded.vector, embedded.thumbnail

    def put_embedded(
        self, items: Sequence[PhotographedItem], embedded: Mapping[str, tuple[np.ndarray, bytes | None]]
    ) -> int:
        """Replace whole products, given photos already embedded, by file name. Returns how many."""
        rows = [(item, number, name) for item in items for number, name in enumerate(item.photos)]
        vectors = np.stack([embedded[name][0] for _, _, name in rows])
        self.index.upsert([item.id for item, _, _ in rows], vectors, [item.attributes for item, _, _ in rows])
        if self.thumbnails is not None:
            self.thumbnails.delete([item.id for item in items])
            pictures = ((item.id, str(number or ""), embedded[name][1]) for item, number, name in rows)
            self.thumbnails.put_many((id, photo, picture) for id, photo, picture in pictures if picture)
        return len(items)

    def update(self, items: Sequence[ChangedItem]) -> int:
        """Set attributes, keep the others. Returns how many of the products exist."""
        return self.index.update([item.id for item in items], [item.attributes for item in items])

    def delete(self, ids: Sequence[str]) -> int:
        """Delete products and their thumbnails. Returns how many of the products existed."""
        deleted = self.index.delete(ids)
        if self.thumbnails is not None:
            self.thumbnails.delete(ids)
        return deleted

    def change_column(self, change: ChangeColumn) -> dict[str, Any]:
        return self._columns(
            column(self.index, change.name, retype=change.retype, rename=change.rename, clear=change.clear)
        )

    def drop_column(self, name: str) -> dict[str, Any]:
        return self._columns(column(self.index, name, drop=True))

    def get(self, ids: Sequence[str], *, vectors: bool) -> dict[str, Any]:
        products = self.index.get(ids, vectors=vectors)
        items = [
            {
                "id": product.id,
                "photos": [photo.name for photo in product.photos],
                "attributes": _json_attributes(product.attributes),
                "vectors": None if product.vectors is None else product.vectors.tolist(),
            }
            for product in products
            if product is not None
        ]
        return {"items": items, "missing": [id for id, product in zip(ids, products, strict=True) if product is None]}

    def thumbnail(self, id: str, photo: str) -> bytes | None:
        return None if self.thumbnails is None else self.thumbnails.get(id, photo)

    def stats(self) -> dict[str, Any]:
        stats = self.index.stats()
        return {
            "index": self.id,
            "products": stats.products,
            "photos": stats.photos,
            "dimension": stats.dimension,
            "metric": stats.metric,
            "embedder": stats.embedder,
            "columns": stats.columns,
            "details": stats.details,
            "searches_photos": self.embedder is not None,
            "embedding": self._embedding(),
        }

    def close(self) -> None:
        self.index.close()
        if self.thumbnails is not None:
            self.thumbnails.close()

    def _embedding(self) -> dict[str, Any] | None:
        if self.embedder is None:
            return None
        engine = self.embedder.engine
        price = self._price.to_json() if self._price else None
        return {"engine": engine.name, "precision": engine.precision, "cosine": engine.cosine, "price": price}

    def _columns(self, cleared: int) -> dict[str, Any]:
        return {"columns": self.index.stats().columns, "cleared": cleared}

    def _search(self, queries: np.ndarray | Sequence[str], page: Page) -> dict[str, Any]:
        end = page.offset + page.k
        hits = self.index.search(queries, end + 1, where=page.where)[0]
        return {
            "results": [
                {"id": hit.id, "score": hit.score} | self._shown(hit.id, hit.photo, hit.attributes)
                for hit in hits[page.offset : end]
            ],
            "next_offset": end if len(hits) > end <= MAX_OFFSET else None,
            "index": self.id,
        }

    def _shown(self, id: str, photo: str, attributes: Mapping[str, Value]) -> dict[str, Any]:
        where = None if self.thumbnails is None else "/v1/thumbnail?" + urlencode({"id": id, "photo": photo})
        return {"id": id, "photo": photo, "attributes": _json_attributes(attributes), "thumbnail": where}

    def _embedder(self) -> Embedder:
        if self.embedder is None:
            raise CannotEmbed("this index holds vectors made elsewhere: search by vector or by id, not by photo")
        return self.embedder

    def _vectors(self, vectors: Iterable[Sequence[float]]) -> np.ndarray:
        rows = list(vectors)
        for row in rows:
            if len(row) != self.index.dimension:
                raise WrongVector(f"a vector of {len(row)} numbers; this index takes {self.index.dimension}")
        return np.asarray(rows, dtype=np.float32)


def _json_attributes(attributes: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in attributes.items()}
