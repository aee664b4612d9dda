"""A service to ask: the app over an index in memory and an embedder that needs no network.

Both are stand-ins with the behaviour their protocols promise; tests/e2e asks the real ones.
"""

import io
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from lykeion.search.index.errors import NotFound
from lykeion.search.index.protocol import Attributes, Hit, Photo, Product, Stats
from lykeion.search.index.schema import Schema
from lykeion.search.index.where import evaluate, parse
from lykeion.search.service import Catalogue, Settings, create_app
from lykeion.vision import PhotoError

SIDE = 4
DIMENSION = SIDE * SIDE * 3


class TinyEmbedder:
    """A photo's colours on a grid of 4 × 4, as a vector."""

    digest, dimension, name = "sha256:tiny", DIMENSION, "tiny"

    def embed_photo(self, source, *, name="", box=None, thumbnail=None):
        try:
            image = Image.open(io.BytesIO(source)).convert("RGB")
        except OSError as error:
            raise PhotoError(name, str(error)) from None
        if box is not None:
            image = image.crop((box.left, box.top, box.right, box.bottom))
        vector = np.asarray(image.resize((SIDE, SIDE)), np.float32).reshape(-1) + 1
        return SimpleNamespace(
            vector=vector / np.linalg.norm(vector), thumbnail=jpeg(image) if thumbnail is not None else None
        )


class MemoryIndex:
    """An index in a dictionary, searched exactly."""

    metric = "cosine"

    def __init__(self, dimension: int = DIMENSION, embedder: str = TinyEmbedder.digest) -> None:
        self.dimension, self.embedder, self.schema, self.closed = dimension, embedder, Schema(), False
        self.products: dict[str, Product] = {}

    def upsert(self, ids, vectors, attributes=None, *, photos=None) -> None:
        attributes = attributes or [{} for _ in ids]
        self.schema = self.schema.extended(attributes, ids)
        rows = self.schema.coerce(attributes, ids)
        for id in dict.fromkeys(ids):
            own = [row for row, other in enumerate(ids) if other == id]
            names = [Photo(str(number or "")) for number in range(len(own))]
            self.products[id] = Product(id, names, rows[own[-1]], vectors[own])

    def update(self, ids: Sequence[str], attributes: Sequence[Attributes]) -> int:
        self.schema = self.schema.extended(attributes, ids)
        known = [(self.products[id], row) for id, row in zip(ids, attributes, strict=True) if id in self.products]
        for product, row in known:
            merged = self.schema.coerce([{**product.attributes, **row}], [product.id])[0]
            product.attributes.clear()
            product.attributes.update(merged)
        return len(known)

    def delete(self, ids: Sequence[str]) -> int:
        return sum(self.products.pop(id, None) is not None for id in ids)

    def get(self, ids, *, vectors=False):
        return [self.products.get(id) for id in ids]

    def search(self, queries, k=10, *, where=None, attributes=True) -> list[list[Hit]]:
        if not isinstance(queries, np.ndarray):
            for id in queries:
                if id not in self.products:
                    raise NotFound(f"no product {id!r}")
            own, queries = list(queries), np.stack([self.products[id].vectors[0] for id in queries])
        else:
            own = [None] * len(queries)
        matching = self._matching(where)
        answers = []
        for query, asked in zip(queries, own, strict=True):
            hits = []
            for product in matching:
                scores = product.vectors @ query
                best = int(scores.argmax())
                if product.id != asked:
                    hits.append(
                        Hit(product.id, float(scores[best]), product.photos[best].name, dict(product.attributes))
                    )
            answers.append(sorted(hits, key=lambda hit: -hit.score)[:k])
        return answers

    def count(self, where=None) -> int:
        return len(self._matching(where))

    def stats(self) -> Stats:
        photos = sum(len(product.photos) for product in self.products.values())
        columns = dict(self.schema.columns)
        details = {"generation": 7, "kernel": "dictionary"}
        return Stats(len(self.products), photos, self.dimension, "cosine", self.embedder, columns, details)

    def close(self) -> None:
        self.closed = True

    def _matching(self, where: str | None) -> list[Product]:
        products = list(self.products.values())
        if where is None:
            return products
        table = self.schema.to_table([product.attributes for product in products])
        return [products[row] for row in np.flatnonzero(evaluate(parse(where), table, self.schema))]


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def photo(colour: str, size: tuple[int, int] = (32, 24)) -> bytes:
    return jpeg(Image.new("RGB", size, colour))


COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")


def service(catalogue: Catalogue, settings: Settings) -> TestClient:
    """A client that shows an error inside the service as the 500 a person would see."""
    return TestClient(create_app(catalogue, settings), base_url="http://localhost", raise_server_exceptions=False)
