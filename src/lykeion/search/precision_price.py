"""What it costs to embed queries in less precision than the index: the same photos embedded in both, and searched."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .embedder import Embedder
from .index import Index


@dataclass(frozen=True, slots=True)
class PrecisionPrice:
    """Over ``photos`` thumbnails of the index: ``recall`` is the share of the ``k`` answers to the exact vector that
    the fast vector finds as well, ``cosine`` the smallest between the two vectors."""

    engine: str
    photos: int
    k: int
    recall: float
    cosine: float

    def to_json(self) -> dict[str, object]:
        return {
            "engine": self.engine,
            "photos": self.photos,
            "k": self.k,
            "recall": round(self.recall, 4),
            "cosine": round(self.cosine, 6),
        }


def precision_price(
    index: Index,
    thumbnail: Callable[[str, str], bytes | None],
    fast: Embedder,
    exact: Embedder,
    *,
    k: int = 10,
    photos: int = 200,
) -> PrecisionPrice | None:
    """By thumbnails of up to ``photos`` products, the same until the index changes; None if it has none."""
    rows = index.sample(photos)
    found = (thumbnail(id, photo.name) for id, photo in zip(rows.ids, rows.photos, strict=True))
    pictures = [picture for picture in found if picture]
    if not pictures:
        return None
    vectors = [np.stack([each.embed_photo(picture).vector for picture in pictures]) for each in (exact, fast)]
    wanted, got = ([{hit.id for hit in hits} for hits in index.search(each, k, attributes=False)] for each in vectors)
    shares = [len(right & found) / len(right) for right, found in zip(wanted, got, strict=True)]
    cosine = float((vectors[0] * vectors[1]).sum(axis=1).min())
    return PrecisionPrice(fast.engine.name, len(pictures), k, float(np.mean(shares)), cosine)
