"""An index as a plain dictionary with exact search, and a machine that does the same to both and compares.

``index_machine`` makes the machine for any way of opening an index, so that each backend, and each kernel of the
local one, can be driven by the same rules.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lykeion.search.index.protocol import Hit, Index, Metric, Photo

from .strategies import Filter, filters, rows

DIMENSION = 8
SEED = {
    "name": "seed",
    "stock": 1,
    "price": 1.5,
    "sold": False,
    "since": datetime(2026, 1, 1, tzinfo=UTC),
    "tags": ["seed"],
    "sizes": [1.5],
}
"""A product with every column, so that each filter finds its columns."""


@dataclass
class Entry:
    photos: dict[str, tuple[Photo, np.ndarray]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def vectors(self) -> np.ndarray:
        return np.array([vector for _, vector in self.photos.values()])


class Model:
    """What an index does, in the plainest way. Vectors are float64; the cosine metric normalises them."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.products: dict[str, Entry] = {}

    def upsert(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        attributes: Sequence[Mapping[str, Any]] | None,
        photos: Sequence[Photo] | None,
    ) -> None:
        replaced: set[str] = set()
        for n, (product, vector) in enumerate(zip(ids, self._prepared(vectors), strict=True)):
            if photos is None and product not in replaced:
                kept = self.products[product].attributes if product in self.products else {}
                self.products[product] = Entry({}, kept)
                replaced.add(product)
            entry = self.products.setdefault(product, Entry())
            photo = photos[n] if photos is not None else Photo(str(len(entry.photos)) if entry.photos else "")
            entry.photos[photo.name] = (photo, vector)
            if attributes is not None:
                entry.attributes = without_nulls(attributes[n])

    def update(self, ids: Sequence[str], attributes: Sequence[Mapping[str, Any]]) -> int:
        for product, row in zip(ids, attributes, strict=True):
            if entry := self.products.get(product):
                entry.attributes = without_nulls({**entry.attributes, **row})
        return len(set(ids) & self.products.keys())

    def delete(self, ids: Sequence[str], photos: Sequence[str] | None) -> int:
        found = 0
        for n, product in enumerate(ids):
            entry = self.products.get(product)
            if entry is None:
                continue
            if photos is None:
                found += 1
                del self.products[product]
            elif photos[n] in entry.photos:
                found += 1
                del entry.photos[photos[n]]
                if not entry.photos:
                    del self.products[product]
        return found

    def scores(self, queries: np.ndarray, asked: Filter | None, *, without: str = "") -> dict[str, float]:
        """The best score of any query against any photo, of each product that matches."""
        prepared = self._prepared(queries)
        return {
            product: self._best(prepared, entry.vectors())
            for product, entry in self.products.items()
            if product != without and (asked is None or asked.truth(entry.attributes) is True)
        }

    def _best(self, queries: np.ndarray, vectors: np.ndarray) -> float:
        if self.metric == "cosine":
            return float((queries @ vectors.T).max())
        return float(((queries[:, None] - vectors[None]) ** 2).sum(axis=2).min())

    def _prepared(self, vectors: np.ndarray) -> np.ndarray:
        exact = np.asarray(vectors, dtype=np.float64)
        return exact / np.linalg.norm(exact, axis=1, keepdims=True) if self.metric == "cosine" else exact


def without_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


ids = st.sampled_from(["a", "b", "c", "été/1.jpg", "\"d'\\", "e" * 512, "日本"]) | st.integers(0, 30).map(str)
photo_names = st.sampled_from(["", "1", "front", "back.jpg"])
seeds = st.integers(0, 2**32 - 1)


def random_vectors(seed: int, count: int) -> np.ndarray:
    """float32 of shape (count, DIMENSION), never all zeros."""
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def index_machine(
    make: Callable[[], Index],
    reopen: Callable[[Index], Index],
    *,
    metric: Metric = "cosine",
    snapshots: bool = True,
    tolerance: float = 4e-3,
    recall: float = 1.0,
) -> type[RuleBasedStateMachine]:
    """A machine on an empty index of DIMENSION dimensions from ``make``; ``reopen`` closes it and opens it again.

    Scores may be off by ``tolerance`` (relative under l2), and of all answers asked for in a run, the share
    ``recall`` must be among the exact ones.
    """

    class IndexMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.index = make()
            self.model = Model(metric)
            self.kept: dict[str, Model] = {}
            self.wanted = self.found = 0

        def teardown(self) -> None:
            self.index.close()
            assert self.found >= recall * self.wanted, f"recall {self.found / self.wanted:.3f}"

        @initialize()
        def seed(self) -> None:
            self._upsert(["seed"], random_vectors(0, 1), [SEED], None)

        @rule(data=st.data(), seed=seeds, named=st.booleans(), attributed=st.booleans(), count=st.integers(1, 12))
        def upsert(self, data: st.DataObject, seed: int, named: bool, attributed: bool, count: int) -> None:
            products = data.draw(st.lists(ids, min_size=count, max_size=count))
            photos = [Photo(data.draw(photo_names), f"sha256:{n}") for n in range(count)] if named else None
            attributes = [data.draw(rows) for _ in products] if attributed else None
            self._upsert(products, random_vectors(seed, count), attributes, photos)

        @rule(seed=seeds, start=st.integers(0, 200), count=st.integers(50, 200))
        def upsert_many(self, seed: int, start: int, count: int) -> None:
            products = [f"many {n}" for n in range(start, start + count)]
            self._upsert(products, random_vectors(seed, count), [{"stock": n} for n in range(count)], None)

        @rule(products=st.lists(ids, max_size=4, unique=True), data=st.data())
        def update(self, products: list[str], data: st.DataObject) -> None:
            changes = [data.draw(rows) for _ in products]
            assert self.index.update(products, changes) == self.model.update(products, changes)

        @rule(products=st.lists(ids, max_size=6))
        def delete(self, products: list[str]) -> None:
            assert self.index.delete(products) == self.model.delete(products, None)

        @rule(start=st.integers(0, 200), count=st.integers(50, 200))
        def delete_many(self, start: int, count: int) -> None:
            products = [f"many {n}" for n in range(start, start + count)]
            assert self.index.delete(products) == self.model.delete(products, None)

        @rule(photos=st.lists(st.tuples(ids, photo_names), max_size=6, unique=True))
        def delete_photos(self, photos: list[tuple[str, str]]) -> None:
            products, named = [product for product, _ in photos], [name for _, name in photos]
            assert self.index.delete(products, photos=named) == self.model.delete(products, named)

        @rule()
        def compact(self) -> None:
            self.index.compact()

        @rule()
        def close_and_open(self) -> None:
            self.index = reopen(self.index)

        @precondition(lambda self: snapshots and len(self.kept) < 3)
        @rule()
        def snapshot(self) -> None:
            name = f"kept {len(self.kept)}"
            self.index.snapshot(name)
            self.kept[name] = deepcopy(self.model)

        @precondition(lambda self: self.kept)
        @rule(data=st.data())
        def restore(self, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(sorted(self.kept)))
            self.index.restore(name)
            self.model = deepcopy(self.kept[name])

        @rule(seed=seeds, k=st.integers(1, 20), asked=st.none() | filters())
        def search(self, seed: int, k: int, asked: Filter | None) -> None:
            queries = random_vectors(seed, 2)
            answers = self.index.search(queries, k, where=asked.text if asked else None)
            assert len(answers) == 2
            for query, hits in zip(queries, answers, strict=True):
                self._compare(hits, self.model.scores(query[None], asked), k)

        @precondition(lambda self: self.model.products)
        @rule(data=st.data(), k=st.integers(1, 20), asked=st.none() | filters())
        def search_by_id(self, data: st.DataObject, k: int, asked: Filter | None) -> None:
            product = data.draw(st.sampled_from(sorted(self.model.products)))
            (hits,) = self.index.search([product], k, where=asked.text if asked else None)
            vectors = self.model.products[product].vectors()
            self._compare(hits, self.model.scores(vectors, asked, without=product), k)

        @rule(asked=filters())
        def count_matching(self, asked: Filter) -> None:
            matching = [entry for entry in self.model.products.values() if asked.truth(entry.attributes) is True]
            assert self.index.count(asked.text) == len(matching)

        @rule()
        def scan(self) -> None:
            seen: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
            for batch in self.index.scan(batch=64):
                for product, photo, attributes in zip(batch.ids, batch.photos, batch.attributes, strict=True):
                    assert (product, photo.name) not in seen
                    seen[product, photo.name] = (photo.digest, attributes)
            assert seen == {
                (product, name): (photo.digest, entry.attributes)
                for product, entry in self.model.products.items()
                for name, (photo, _) in entry.photos.items()
            }

        @invariant()
        def counts_agree(self) -> None:
            stats = self.index.stats()
            photos = sum(len(entry.photos) for entry in self.model.products.values())
            assert (stats.products, stats.photos) == (len(self.model.products), photos)
            assert self.index.count() == stats.products

        @precondition(lambda self: self.model.products)
        @rule(data=st.data())
        def get(self, data: st.DataObject) -> None:
            known = st.sampled_from(sorted(self.model.products))
            for product in data.draw(st.lists(known | ids, max_size=4)):
                (found,) = self.index.get([product], vectors=True)
                entry = self.model.products.get(product)
                if entry is None:
                    assert found is None
                    continue
                assert found is not None
                assert (found.id, found.attributes) == (product, entry.attributes)
                assert found.vectors is not None
                vectors = dict(zip(found.photos, found.vectors, strict=True))
                assert vectors.keys() == {photo for photo, _ in entry.photos.values()}
                for photo, vector in entry.photos.values():
                    np.testing.assert_allclose(vectors[photo], vector, atol=tolerance)

        def _upsert(self, products: list[str], vectors: np.ndarray, attributes: Any, photos: Any) -> None:
            self.index.upsert(products, vectors, attributes, photos=photos)
            self.model.upsert(products, vectors, attributes, photos)

        def _compare(self, hits: list[Hit], exact: dict[str, float], k: int) -> None:
            sign = -1 if metric == "cosine" else 1
            best = sorted(sign * score for score in exact.values())[:k]
            assert len(hits) == len(best), "as many answers as match, up to k"
            assert len({hit.id for hit in hits}) == len(hits), "one answer a product"
            given = [sign * hit.score for hit in hits]
            assert given == sorted(given), "best first"
            for hit in hits:
                assert abs(hit.score - exact[hit.id]) <= tolerance * max(1, abs(exact[hit.id]))
                entry = self.model.products[hit.id]
                assert hit.attributes == entry.attributes
                assert hit.photo in entry.photos
            self.wanted += len(best)
            self.found += sum(sign * exact[hit.id] <= best[-1] + tolerance * max(1, abs(best[-1])) for hit in hits)

    return IndexMachine
