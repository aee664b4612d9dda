"""Photo search: an index of product photos, and the operations on it.

The functions have the names of the commands of ``lykeion index``, and take an index's address or an open index::

    from lykeion import search

    search.add("photos", "shop.index")
    for answer in search.query("shop.index", "photo.jpg", k=20, where="price < 5000"):
        print([(hit.id, hit.score) for hit in answer.results])

Each is imported when it is first used, so that importing this package costs nothing.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .embedder import Embedder, describe_embedder
    from .embedder_engine import EmbedPrecision, EngineWish
    from .evaluation import evaluate
    from .index import open_index
    from .ingest import IngestOptions, add
    from .maintenance import column, compact, drop_snapshot, rebuild, restore, snapshot, stats, verify
    from .near_duplicates import draw_groups, duplicates
    from .products import delete, draw_answer, get, query
    from .service import serve
    from .thumbnails import ThumbnailPlace
    from .transfer import copy, merge

__all__ = [
    "EmbedPrecision", "Embedder", "EngineWish", "IngestOptions", "ThumbnailPlace", "add", "column", "compact",
    "copy", "delete", "describe_embedder", "draw_answer", "draw_groups", "drop_snapshot", "duplicates", "evaluate",
    "get", "merge", "open_index", "query", "rebuild", "restore", "serve", "snapshot", "stats", "verify",
]  # fmt: skip
__getattr__ = lazy(__name__)
