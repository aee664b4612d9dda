"""The native search kernel: its arrays, and the one call that answers a query over all segments.

The kernel (native/kernel.cpp) is compiled when the package is built, once for each instruction set; the widest one
that the processor supports is loaded here. It borrows every array that it receives.
"""

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lykeion.core import Unavailable

from .byte_matrix import ByteMatrix, in_bytes

NO_LINK = 0xFFFFFFFF
COPY = 0xFFFFFFFE
"""The first link of a row with the same vector as the row before, which is not a node of the graph."""
INTERFACE = 4
"""LK_INTERFACE of native/kernel.h."""


class KernelUnavailable(Unavailable):
    """The native kernel was not built, or the processor lacks instructions that it needs."""


@dataclass(frozen=True, slots=True)
class SegmentCodes:
    """The arrays of a segment with a kernel, except its vectors; rows are ordered by cell, and cells by group.

    codes: uint8 (rows, stride), the projected vector as 8- or 4-bit integers, then its squared norm as float32.
    projection: float16 (reduced, dimension). bias: float32 (reduced). cells, groups: nearness of their centroids to a
    query, or, unless ``whole``, to its projection. group_cells: int64 (groups + 1). cell_rows: int64 (cells + 1).
    entries: uint32 (cells), the row nearest to the centroid. links: uint32 (rows, degree), the neighbour graph, or
    None: cells are scanned. copies: how many rows are not nodes of the graph, because they have the same vector as
    the row before; their link is COPY.
    """

    codes: np.ndarray
    projection: np.ndarray
    bias: np.ndarray
    cells: ByteMatrix
    groups: ByteMatrix
    group_cells: np.ndarray
    whole: bool
    cell_rows: np.ndarray
    entries: np.ndarray
    links: np.ndarray | None
    scale: float
    zero: float
    nibbles: bool
    copies: int = 0


class Effort(NamedTuple):
    """The effort of a search in each segment.

    ef: nodes kept during a walk of the graph. rerank: rows compared by their stored vectors. scan: if cells are
    scanned, the number of matching rows, as a multiple of the square root (at least 256) of the segment's rows.
    """

    ef: int
    rerank: int
    scan: float


class _Matrix(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_void_p), ("terms", ctypes.c_void_p), ("rows", ctypes.c_int64))


class _Segment(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("vectors", "codes")),
        *((name, _Matrix) for name in ("projection", "cells", "groups")),
        *(
            (name, ctypes.c_void_p)
            for name in ("group_cells", "cell_rows", "entries", "links", "id_ends", "ids", "allowed")
        ),
        *((name, ctypes.c_int64) for name in ("filtered", "rows", "stride", "ids_size")),
        *((name, ctypes.c_int32) for name in ("reduced", "degree", "group_count")),
        *((name, ctypes.c_float) for name in ("scale", "zero")),
        *((name, ctypes.c_uint8) for name in ("half", "nibbles", "whole", "copies")),
    )


class _Query(ctypes.Structure):
    _fields_ = (
        ("vector", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("k", "ef", "rerank")),
        ("scan", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("out_segments", "out_rows", "out_scores", "out_ids")),
        *((name, ctypes.c_int64) for name in ("room", "written")),
        ("dimension", ctypes.c_int32),
        ("squared", ctypes.c_uint8),
    )


class RowIds(NamedTuple):
    """Ids in UTF-8, one after the other in ``text``, uint8. That of row r ends at ``ends[r + 1]``: int64,
    (rows + 1)."""

    ends: np.ndarray
    text: np.ndarray


class Searchable:
    """One segment as the kernel sees it: vectors of shape (rows, dimension), its codes and its ids if it has any."""

    def __init__(
        self, vectors: np.ndarray, rows: int, codes: SegmentCodes | None = None, ids: RowIds | None = None
    ) -> None:
        self.rows = rows
        projection = None if codes is None else in_bytes(codes.projection.astype(np.float32), codes.bias)
        self._kept = (vectors, codes, projection, ids)
        self.struct = segment = _Segment()
        segment.vectors, segment.rows = vectors.ctypes.data, rows
        segment.half = vectors.dtype == np.float16
        if ids is not None:
            segment.id_ends, segment.ids, segment.ids_size = ids.ends.ctypes.data, ids.text.ctypes.data, len(ids.text)
        if codes is None or projection is None:
            return
        segment.projection, segment.cells, segment.groups = map(_matrix_of, (projection, codes.cells, codes.groups))
        for name in ("codes", "group_cells", "cell_rows", "entries"):
            setattr(segment, name, getattr(codes, name).ctypes.data)
        segment.stride, segment.reduced = codes.codes.shape[1], len(codes.bias)
        segment.group_count = len(codes.group_cells) - 1
        segment.scale, segment.zero = codes.scale, codes.zero
        segment.nibbles, segment.whole = codes.nibbles, codes.whole
        if codes.links is not None:
            segment.links, segment.degree = codes.links.ctypes.data, codes.links.shape[1]
            segment.copies = codes.copies > 0


def _matrix_of(matrix: ByteMatrix) -> _Matrix:
    return _Matrix(matrix.rows.ctypes.data, matrix.terms.ctypes.data, len(matrix))


class Scope:
    """The segments of one search, each with the rows that are allowed as answers.

    ``allowed`` has, for each segment, a bitmap (uint64, one bit per row, little-endian) or None for every row. With
    ``filtered`` it comes from a filter, and no bit beyond the last row is set.
    """

    def __init__(
        self, segments: Sequence[Searchable], allowed: Sequence[np.ndarray | None], *, filtered: bool = False
    ) -> None:
        self._kept = (segments, allowed)
        self.count = len(segments)
        self.array = (_Segment * max(self.count, 1))()
        for number, (segment, bits) in enumerate(zip(segments, allowed, strict=True)):
            entry = self.array[number]
            ctypes.pointer(entry)[0] = segment.struct
            entry.filtered = int(np.bitwise_count(bits).sum()) if filtered and bits is not None else -1
            if bits is not None:
                entry.allowed = bits.ctypes.data
        self.address = ctypes.addressof(self.array)


class Nearest(NamedTuple):
    """Answers, best first: lists of segment numbers, rows and scores; and of ids, if all segments have some, else
    None."""

    segments: list[int]
    rows: list[int]
    scores: list[float]
    ids: list[str] | None


class _Buffers(threading.local):
    """One thread's query structure and the arrays it points to, created once."""

    def __init__(self) -> None:
        self.query = _Query()
        self.address = ctypes.addressof(self.query)
        self.vector = np.empty(0, np.float32)
        self.room = 0

    def make_room(self, k: int, dimension: int) -> None:
        self.vector = np.empty(dimension, np.float32)  # a copy takes less time than asking an array for its address
        self.room = k
        self._kept = answers = (np.empty(k, np.int32), np.empty(k, np.uint32), np.empty(k, np.float32))
        ids = np.empty(min(k, 1_024) * _ID_BYTES, np.uint8)
        views: list[Any] = [array.data for array in (*answers, ids)]  # faster to read from Python than arrays
        self.segments, self.rows, self.scores, self.ids = views
        query = self.query
        query.vector, query.dimension = self.vector.ctypes.data, dimension
        query.out_segments, query.out_rows, query.out_scores = (array.ctypes.data for array in answers)
        query.out_ids, query.room = ids.ctypes.data, len(ids)


_ID_BYTES = 64
"""Room for an answer's id; where ids are longer than this on average, or very many, they are read one by one."""
_buffers = _Buffers()


def nearest(scope: Scope, query: np.ndarray, k: int, effort: Effort, *, squared: bool) -> Nearest:
    """The k nearest rows of ``scope`` to ``query`` (float32, one vector).

    Scores are squared Euclidean distances, or dot products. Fewer than k only if fewer rows are allowed.
    """
    buffers = _buffers
    if buffers.room < k or len(buffers.vector) != len(query):
        buffers.make_room(k, len(query))
    buffers.vector[:] = query
    parameters = buffers.query
    parameters.k, parameters.ef, parameters.rerank, parameters.scan = k, *effort
    parameters.squared = squared
    found = _library().lk_search(scope.address, scope.count, buffers.address)
    written = parameters.written
    return Nearest(
        buffers.segments[:found].tolist(),
        buffers.rows[:found].tolist(),
        buffers.scores[:found].tolist(),
        str(buffers.ids[: written - 1], "utf-8").split("\0") if written > 0 else None,
    )


@functools.cache
def _library() -> ctypes.CDLL:
    """The widest kernel that this processor supports; LYKEION_KERNEL=baseline selects the narrowest."""
    baseline = _load("baseline")
    level = baseline.lk_level()
    if level == 0:
        raise KernelUnavailable("the search kernel needs a processor with AVX2 (x86-64) or NEON (aarch64)")
    if level == 2 and os.environ.get("LYKEION_KERNEL") != "baseline":
        return _load("avx512")
    return baseline


def _load(name: str) -> ctypes.CDLL:
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    path = Path(__file__).parent / "native" / f"kernel_{name}{suffix}"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelUnavailable(f"{path.name} was not built; reinstall lykeion with a C++ compiler") from error
    if not hasattr(library, "lk_interface") or library.lk_interface() != INTERFACE:
        raise KernelUnavailable(f"{path.name} was built from another version of lykeion; install lykeion again")
    library.lk_search.restype = ctypes.c_int64
    library.lk_search.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p)
    library.lk_level.restype = ctypes.c_int32
    return library
