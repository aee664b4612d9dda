"""The interface of every index, and its data types.

Words used throughout: a *product* is what is searched for, identified by its id; a *photo* is one picture of it,
with one vector; *attributes* belong to the product, whichever photo they came with. An answer is a product with its
best photo.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias

import numpy as np

Metric: TypeAlias = Literal["cosine", "l2"]
Mode: TypeAlias = Literal["r", "w", "shared"]
Value: TypeAlias = "str | int | float | bool | datetime | list[str] | list[float] | None"
Attributes: TypeAlias = Mapping[str, Value]
ColumnType: TypeAlias = Literal["string", "integer", "number", "boolean", "timestamp", "list", "strings", "numbers"]
"""integer is int64, number float64, timestamp microseconds UTC; strings and numbers are lists of those, and list
is one of which only empty lists were seen."""

MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of a product: a name that is unique within the product, and the digest of its bytes if known."""

    name: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """A stored product. ``vectors`` is float32 of shape (photos, dimension), or None if not requested."""

    id: str
    photos: list[Photo]
    attributes: dict[str, Value]
    vectors: np.ndarray | None = None


class Hit(NamedTuple):
    """An answer. ``score`` is the cosine (larger is nearer) or the squared Euclidean distance (smaller is nearer).

    ``photo`` and ``attributes`` are empty unless requested.
    """

    id: str
    score: float
    photo: str = ""
    attributes: dict[str, Value] = {}  # noqa: RUF012


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of stored photos, one row each, for copying an index: vectors is float32 (rows, dimension)."""

    ids: list[str]
    photos: list[Photo]
    vectors: np.ndarray | None
    attributes: list[dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Stats:
    """``details`` are statistics of the backend: segments, bytes on disk, log length; JSON values."""

    products: int
    photos: int
    dimension: int
    metric: Metric
    embedder: str
    columns: dict[str, ColumnType]
    details: dict[str, object]


class Index(Protocol):
    """A durable vector index of products. Thread-safe.

    Ids are UTF-8 strings of 1 to 512 bytes. Vectors are float32 of shape (n, dimension); with the cosine metric
    they are normalised when stored. Attributes are strings, numbers, booleans, timestamps (aware datetimes) or
    lists of strings or numbers; new columns may be added at any time, and a value whose type conflicts with its
    column raises SchemaError naming the row. ``where`` is an expression of lykeion.search.index.filters.
    """

    dimension: int
    metric: Metric
    embedder: str
    """Digest of the embedder of the vectors; "" if vectors come from elsewhere."""
    dtype: str
    """How vectors are stored: float16 or float32."""

    @property
    def path(self) -> Path | None:
        """The directory that holds the index; None on a server."""
        ...

    def upsert(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        attributes: Sequence[Attributes] | None = None,
        *,
        photos: Sequence[Photo] | None = None,
    ) -> None:
        """Insert or replace; durable and visible when it returns.

        Without ``photos`` each product is replaced completely, and an id repeated in the batch is one product
        with several photos, named "", "1", "2" … With ``photos``, a row replaces only the photo of that name, and
        the product's other photos stay. The attributes given replace the product's (the last row's win); with
        None, a product that exists keeps its own.
        """
        ...

    def update(self, ids: Sequence[str], attributes: Sequence[Attributes]) -> int:
        """Set these attributes and keep the others (None sets null). Returns the number of existing ids."""
        ...

    def delete(self, ids: Sequence[str], *, photos: Sequence[str] | None = None) -> int:
        """Delete products, or with ``photos`` (one name per id) single photos. Returns the number deleted."""
        ...

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Product | None]: ...

    def search(
        self,
        queries: np.ndarray | Sequence[str],
        k: int = 10,
        *,
        where: str | None = None,
        attributes: bool = True,
    ) -> list[list[Hit]]:
        """The k nearest products of each query, best first: vectors (n, dimension), or ids of stored products.

        A product searched by id is not among its own answers. Never fewer than k if k products match. Raises
        WhereError, and NotFound for an unknown id.
        """
        ...

    def count(self, where: str | None = None) -> int:
        """The number of products (that match)."""
        ...

    def scan(self, *, vectors: bool = False, batch: int = 1024) -> Iterator[Rows]:
        """All photos in batches, in unspecified order; a consistent view as of the call."""
        ...

    def sample(self, count: int, where: str | None = None) -> Rows:
        """At most ``count`` products (that match), one photo of each, spread over the index, without vectors.

        In unspecified order, but the same until the index changes. Without a filter, the cost does not depend on the
        size of the index. Raises WhereError.
        """
        ...

    def stats(self) -> Stats: ...

    def compact(self, *, full: bool = False) -> None:
        """Merge small segments, drop deleted rows and free their space; ``full``: merge everything.

        Searches continue meanwhile.
        """
        ...

    # Optional operations: backends without them raise Unsupported and change nothing.

    def drop_column(self, name: str) -> None:
        """Take an attribute from all products. Raises NotFound."""
        ...

    def rename_column(self, name: str, to: str) -> None:
        """Raises NotFound, and SchemaError for a name that cannot be or is taken."""
        ...

    def retype_column(self, name: str, kind: ColumnType, *, clear: bool = False) -> int:
        """Give a column another type; each value becomes the one that has the same text.

        Returns how many products had a value without one, which is null now. Raises NotFound, and without ``clear``
        SchemaError where there are such products.
        """
        ...

    def snapshot(self, name: str) -> None:
        """Keep the current state under a name. Instant."""
        ...

    def restore(self, name: str) -> None:
        """Return to a snapshot. Later writes are no longer visible. Raises NotFound."""
        ...

    def drop_snapshot(self, name: str) -> None:
        """Delete a snapshot; the next compaction reclaims its space. Raises NotFound."""
        ...

    def export(self, path: Path) -> None:
        """Write an independent copy of the current state, a complete index. ``path`` must not exist."""
        ...

    def merge_from(self, path: Path) -> None:
        """Add the products of the index in directory ``path`` by hard links; they replace those with equal ids.

        Its contents must be in segments: ``compact`` it before. Raises EmbedderMismatch, IndexFormatError.
        """
        ...

    def verify(self) -> list[str]:
        """Read every byte; one line for each difference from what was written."""
        ...

    def rebuild(self) -> None:
        """Rebuild everything that is derived from the stored vectors, such as search kernels."""
        ...

    def close(self) -> None:
        """At once; leaving ``with`` first waits for pending background compaction."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, error: object, /, *_: object) -> None: ...
