"""The fields of a row in Milvus, and conversion of products to rows and back."""

import hashlib
import json
from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np

from lykeion.search.index.errors import SchemaError
from lykeion.search.index.protocol import Attributes, Photo, Value
from lykeion.search.index.schema import from_microseconds, to_microseconds

from .filter import ATTRIBUTES, PRESENT, column_of, key_of

Row: TypeAlias = dict[str, Any]
"""A photo's fields by name: its key, its product's id and the id in hex (owner), and so on."""

FIELDS = ["key", "product", "owner", "photo", "photo_digest", "ordinal", PRESENT, ATTRIBUTES, "vector"]

MAX_ATTRIBUTE_BYTES = 65_536
"""Milvus's limit for one product's attributes as JSON."""


def owner(product: str) -> str:
    """A hash of a product's id as 32 hex digits, for Milvus's filters, whatever characters the id has."""
    return hashlib.sha256(product.encode()).hexdigest()[:32]


def owner_of(key: str) -> str:
    """The owner of the row with that key."""
    return key[:32]


def key(product: str, photo: str) -> str:
    """The primary key of a product's photo: 64 hex digits."""
    return owner(product) + hashlib.sha256(photo.encode()).hexdigest()[:32]


def new_row(product: str, photo: Photo, vector: np.ndarray, attached: Row) -> Row:
    names = {"product": product, "owner": owner(product), "photo": photo.name, "photo_digest": photo.digest}
    return {"key": key(product, photo.name), "ordinal": -1, "vector": vector, **names, **attached}


def attached(product: str, attributes: Attributes) -> Row:
    """The fields that hold a product's coerced attributes. Raises SchemaError if they are too long."""
    values = {
        key_of(name): to_microseconds(value) if isinstance(value, datetime) else value
        for name, value in attributes.items()
    }
    size = len(json.dumps(values, ensure_ascii=False).encode())
    if size > MAX_ATTRIBUTE_BYTES:
        raise SchemaError(
            f"product {product!r}: {size:,} bytes of attributes; Milvus keeps at most {MAX_ATTRIBUTE_BYTES:,}"
        )
    return {PRESENT: list(values), ATTRIBUTES: values}


def attached_of(row: Row) -> Row:
    return {PRESENT: row[PRESENT], ATTRIBUTES: row[ATTRIBUTES]}


def with_attributes(row: Row, attached: Row) -> Row:
    """The row with these attributes; the row itself if it has them already, so that it need not be written."""
    return row if attached_of(row) == attached else {**row, **attached}


def numbered(rows: list[Row]) -> list[Row]:
    return [row if row["ordinal"] == n else {**row, "ordinal": n} for n, row in enumerate(rows)]


def names(row: Row) -> Set[str]:
    """The columns that are not null in the row."""
    return {column_of(key) for key in row[ATTRIBUTES]}


def attributes_of(row: Row, columns: Mapping[str, str]) -> dict[str, Value]:
    """The attributes in their columns' types; JSON does not distinguish timestamps from integers."""
    values: dict[str, Value] = {}
    for encoded, value in row[ATTRIBUTES].items():
        name = column_of(encoded)
        values[name] = from_microseconds(value) if columns[name] == "timestamp" else value
    return values


def photo_of(row: Row) -> Photo:
    return Photo(row["photo"], row["photo_digest"])


def vectors_of(rows: list[Row]) -> np.ndarray:
    """float32 of shape (rows, dimension)."""
    return np.array([row["vector"] for row in rows], dtype=np.float32)
