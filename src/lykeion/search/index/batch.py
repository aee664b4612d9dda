"""Checks of a batch before it is passed to a backend, so that an invalid one changes nothing."""

import math
from collections.abc import Sequence

import numpy as np

from lykeion.core import Invalid

from .protocol import MAX_ID_BYTES, Metric, Photo

MAX_PHOTO_NAME_BYTES = 1_024


class BatchError(Invalid):
    """Invalid ids, vectors or photos; the message names the row."""


def check_ids(ids: Sequence[str]) -> None:
    """Ids are UTF-8 of 1 to 512 bytes. Raises BatchError."""
    if isinstance(ids, str):
        raise BatchError(f"ids: a list of ids is wanted, not the single string {ids[:40]!r}")
    for row, name in enumerate(ids):
        if not isinstance(name, str) or not name:
            raise BatchError(f"row {row}: an id must be a non-empty string, not {name!r:.40}")
        _check_size(row, "id", name, MAX_ID_BYTES)


def named_photos(ids: Sequence[str], photos: Sequence[Photo] | None) -> list[Photo]:
    """The photo of each row: those given, or "", "1", "2" … for rows of the same id. Raises BatchError."""
    if photos is None:
        seen: dict[str, int] = {}
        named: list[Photo] = []
        for name in ids:
            count = seen[name] = seen.get(name, -1) + 1
            named.append(Photo(str(count) if count else ""))
        return named
    if len(photos) != len(ids):
        raise BatchError(f"{len(ids)} ids but {len(photos)} photos; give one photo per row")
    for row, photo in enumerate(photos):
        _check_size(row, "photo name", photo.name, MAX_PHOTO_NAME_BYTES)
        _check_size(row, "photo digest", photo.digest, MAX_PHOTO_NAME_BYTES)
    return list(photos)


def check_count(ids: Sequence[str], rows: Sequence[object] | None) -> None:
    """One row of attributes per id. Raises BatchError."""
    if rows is not None and len(rows) != len(ids):
        raise BatchError(f"{len(ids)} ids but {len(rows)} rows of attributes; give one row per id")


def prepared_vectors(vectors: np.ndarray, dimension: int, metric: Metric, *, rows: int | None = None) -> np.ndarray:
    """The vectors prepared for comparison: float32 of shape (rows, dimension), of length 1 for the cosine metric.

    Raises BatchError for another shape, for NaN and infinity, and for a vector of zeros under cosine.
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.shape[1] != dimension:
        raise BatchError(f"vectors of shape {array.shape}; the index takes (rows, {dimension})")
    if rows is not None and len(array) != rows:
        raise BatchError(f"{rows} ids but {len(array)} vectors; give one vector per row")
    if array.dtype.kind not in "fiu":
        raise BatchError(f"vectors of type {array.dtype}; the index takes numbers")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):  # overflow is refused below
            array = array.astype(np.float32)
    if len(array) == 1 and metric == "l2" and math.isfinite(float(np.vdot(array, array))):
        return np.ascontiguousarray(array)  # a query: what is checked below, in a quarter of the time
    if metric == "l2":
        lengths = np.einsum("ij,ij->i", array, array)
        _refuse(~np.isfinite(lengths), "holds NaN, infinity or numbers too large for float32 distances")
        return np.ascontiguousarray(array)
    lengths = np.sqrt(np.einsum("ij,ij->i", array, array))
    if not (np.isfinite(lengths) & (lengths > 1e-15)).all():  # too large or small for float32, or not numbers at all
        lengths = np.linalg.norm(array.astype(np.float64), axis=1)
    _refuse(~np.isfinite(lengths), "holds NaN or infinity")
    _refuse(lengths == 0, "is all zeros and has no direction; the cosine metric needs one")
    return (array / lengths[:, None]).astype(np.float32, copy=False)


def _refuse(rows: np.ndarray, why: str) -> None:
    if rows.any():
        raise BatchError(f"vector of row {int(rows.argmax())} {why}")


def _check_size(row: int, what: str, text: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BatchError(f"row {row}: {what} {text[:40]!r} is not valid UTF-8") from None
    if size > limit:
        raise BatchError(f"row {row}: {what} {text[:24]!r}… has {size} bytes; at most {limit} are allowed")
