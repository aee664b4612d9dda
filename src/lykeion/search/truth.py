"""The ground truth of an evaluation: exact search, an attribute of the products, or pairs in a CSV."""

import csv
import hashlib
import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion.core import Invalid

from .index import Attributes, Hit, Index, Value


class TruthError(Invalid):
    """The ground truth cannot be read, or has no information about this index."""


@dataclass(frozen=True, slots=True)
class Query:
    """A product's first photo, and the products relevant to it.

    ``ideal`` holds the grades of the relevant products, best first, up to the number of answers that are evaluated;
    ``relevant`` counts them all.
    """

    id: str
    vector: np.ndarray
    relevant: int
    ideal: list[float]
    grade: Callable[[Hit], float]


def queries_of(index: Index, truth: str, k: int, limit: int) -> Iterator[Query]:
    """Up to ``limit`` queries of the index, to be evaluated on ``k`` answers; see ``evaluate``. Raises TruthError."""
    if truth == "exact":
        return _exact(index, k, limit)
    if truth.startswith("label:"):
        return _labelled(index, truth.removeprefix("label:"), k, limit)
    return _paired(index, Path(truth), limit)


def _exact(index: Index, k: int, limit: int) -> Iterator[Query]:
    sample = _sample(index, limit)
    ids = [id for id, _, _ in sample]
    vectors = np.stack([vector for _, vector, _ in sample]) if sample else np.zeros((0, index.dimension))
    for id, vector, nearest in zip(ids, vectors, _nearest(index, ids, vectors, k), strict=True):
        if nearest:
            floor = min(nearest.values())
            floor -= 1e-5 * max(1.0, abs(floor))  # a product as near as the k-th is an equally good answer
            grade = _is_near(nearest, floor, index.metric == "cosine")
            yield Query(id, vector, len(nearest), [1.0] * len(nearest), grade)


def _is_near(nearest: dict[str, float], floor: float, larger_is_nearer: bool) -> Callable[[Hit], float]:
    def grade(hit: Hit) -> float:
        nearness = hit.score if larger_is_nearer else -hit.score
        return float(hit.id in nearest or nearness >= floor)

    return grade


def _nearest(index: Index, ids: list[str], vectors: np.ndarray, k: int) -> list[dict[str, float]]:
    """For each query the k nearest other products and their nearness (larger is nearer), by brute force."""
    best: list[dict[str, float]] = [{} for _ in ids]
    for rows in index.scan(vectors=True):
        assert rows.vectors is not None
        nearness = vectors @ rows.vectors.T
        if index.metric == "l2":
            nearness = 2 * nearness - (vectors**2).sum(1)[:, None] - (rows.vectors**2).sum(1)
        for own, found, near in zip(ids, best, nearness, strict=True):
            floor = min(found.values()) if len(found) == k else -math.inf
            candidates = np.flatnonzero(near > floor)
            taken: set[str] = set()
            for row in candidates[np.argsort(-near[candidates], kind="stable")]:
                id = rows.ids[row]
                if id != own and id not in taken:  # best photo first: the product's later ones add nothing
                    taken.add(id)
                    found[id] = max(float(near[row]), found.get(id, -math.inf))
                    if len(taken) == k:
                        break
            for id in heapq.nsmallest(max(len(found) - k, 0), found, key=found.__getitem__):
                del found[id]
    return best


def _labelled(index: Index, column: str, k: int, limit: int) -> Iterator[Query]:
    if column not in (columns := index.stats().columns):
        raise TruthError(f"no attribute {column!r} in the index; there are {', '.join(columns) or 'none'}")
    counts: dict[str, int] = {}
    for id, vector, attributes in _sample(index, limit):
        label = attributes.get(column)
        if label is None:
            continue
        where = f"{_quoted(column, '`')} = {_literal(label)}"
        if where not in counts:
            counts[where] = index.count(where)
        if (others := counts[where] - 1) > 0:
            grade = _has_label(column, label)
            yield Query(id, vector, others, [1.0] * min(others, k), grade)


def _has_label(column: str, label: Value) -> Callable[[Hit], float]:
    return lambda hit: float(hit.attributes.get(column) == label)


def _literal(label: Value) -> str:
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, int | float):
        return repr(label)
    if isinstance(label, str):
        return _quoted(label, '"')
    raise TruthError(f"a label is a string, a number or a boolean, not {type(label).__name__}")


def _quoted(text: str, mark: str) -> str:
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


def _paired(index: Index, path: Path, limit: int) -> Iterator[Query]:
    pairs = read_pairs(path)
    chosen = heapq.nsmallest(limit, pairs, key=_hash)
    for id, product in zip(chosen, index.get(chosen, vectors=True), strict=True):
        if product is None or product.vectors is None:
            raise TruthError(f"{path}: query {id!r} is not in the index; remove its lines or add its photo")
        grades = pairs[id]
        yield Query(id, product.vectors[0], len(grades), sorted(grades.values(), reverse=True), _has_grade(grades))


def _has_grade(grades: dict[str, float]) -> Callable[[Hit], float]:
    return lambda hit: grades.get(hit.id, 0.0)


def read_pairs(path: Path) -> dict[str, dict[str, float]]:
    """Grades by query id and relevant id from a CSV, without pairs of grade 0. Raises TruthError with the line."""
    pairs: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                query, relevant = row.get("query_id"), row.get("relevant_id")
                if not query or not relevant:
                    raise TruthError(f"{path}: line {reader.line_num} lacks query_id or relevant_id")
                grade = float(row.get("grade") or 1)
                if not 0 <= grade <= 100:
                    raise TruthError(f"{path}: line {reader.line_num}: a grade is a number from 0 to 100")
                if grade and relevant != query:
                    pairs.setdefault(query, {})[relevant] = grade
    except (OSError, csv.Error, ValueError) as error:
        raise TruthError(f"{path}: not a readable CSV of pairs ({error})") from error
    return pairs


def _sample(index: Index, limit: int) -> list[tuple[str, np.ndarray, Attributes]]:
    """``limit`` products with a photo's vector, the same for the same ids: those whose ids hash lowest."""
    kept: dict[str, tuple[str, np.ndarray, Attributes]] = {}
    heap: list[tuple[int, str]] = []
    for rows in index.scan(vectors=True):
        assert rows.vectors is not None
        for id, vector, attributes in zip(rows.ids, rows.vectors, rows.attributes, strict=True):
            rank = _hash(id)
            if (len(heap) < limit or rank < -heap[0][0]) and id not in kept:
                kept[id] = (id, vector.copy(), attributes)
                heapq.heappush(heap, (-rank, id))
                if len(heap) > limit:
                    del kept[heapq.heappop(heap)[1]]
    return [kept[id] for _, id in sorted(heap, reverse=True)]


def _hash(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest())
