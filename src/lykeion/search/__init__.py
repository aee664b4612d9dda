"""Photo search: an index of product photos, and what is done with it.

The functions have the names of the commands of ``lykeion index``, and take an index's address or an open index::

    from lykeion import search

    search.add("photos", "shop.index")
    for answer in search.query("shop.index", "photo.jpg", k=20, where="price < 5000"):
        print([(hit.id, hit.score) for hit in answer.results])

Each is imported when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embedder import Embedder
    from .evaluation import evaluate
    from .index import open_index
    from .ingest import add
    from .maintenance import compact, drop_snapshot, rebuild, restore, snapshot, stats, verify
    from .near_duplicates import duplicates
    from .products import delete, get, query
    from .service import serve
    from .transfer import copy, merge

_WHERE = {
    "Embedder": "embedder",
    "add": "ingest",
    "compact": "maintenance",
    "copy": "transfer",
    "delete": "products",
    "drop_snapshot": "maintenance",
    "duplicates": "near_duplicates",
    "evaluate": "evaluation",
    "get": "products",
    "merge": "transfer",
    "open_index": "index",
    "query": "products",
    "rebuild": "maintenance",
    "restore": "maintenance",
    "serve": "service",
    "snapshot": "maintenance",
    "stats": "maintenance",
    "verify": "maintenance",
}

__all__ = [
    "Embedder",
    "add",
    "compact",
    "copy",
    "delete",
    "drop_snapshot",
    "duplicates",
    "evaluate",
    "get",
    "merge",
    "open_index",
    "query",
    "rebuild",
    "restore",
    "serve",
    "snapshot",
    "stats",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
