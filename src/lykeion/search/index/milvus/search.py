"""One answer per product from a search that returns photos."""

import numpy as np

from lykeion.core import Unsupported

from .client import MAX_ROWS, Client
from .rows import Row

_QUERIES_A_CALL = 64


def nearest_products(
    client: Client, queries: np.ndarray, k: int, condition: str, fields: list[str]
) -> list[list[tuple[Row, float]]]:
    """For each query up to k rows of distinct products, best first, with their scores.

    Requests more photos until k products are among them or there are no more: Milvus's own grouping returns fewer
    than k if some products have many photos. Raises Unsupported beyond Milvus's limit.
    """
    answers: list[list[tuple[Row, float]]] = [[] for _ in queries]
    waiting, limit = list(range(len(queries))), min(2 * k, MAX_ROWS)
    while waiting:
        unsatisfied: list[int] = []
        for start in range(0, len(waiting), _QUERIES_A_CALL):
            part = waiting[start : start + _QUERIES_A_CALL]
            for n, found in zip(part, client.search(queries[part], limit, condition, fields), strict=True):
                answers[n] = _distinct(found, k)
                if len(answers[n]) < k and len(found) == limit:
                    unsatisfied.append(n)
        if unsatisfied and limit == MAX_ROWS:
            raise Unsupported(f"fewer than {k} products among the nearest {MAX_ROWS:,} photos, Milvus's limit")
        waiting, limit = unsatisfied, min(4 * limit, MAX_ROWS)
    return answers


def _distinct(found: list[Row], k: int) -> list[tuple[Row, float]]:
    best: dict[str, tuple[Row, float]] = {}
    for hit in found:
        best.setdefault(hit["entity"]["product"], (hit["entity"], float(hit["distance"])))
    return list(best.values())[:k]
