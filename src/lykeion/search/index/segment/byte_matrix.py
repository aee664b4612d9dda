"""A matrix of signed bytes, as the native kernel multiplies a query by it: LkMatrix of native/kernel.h."""

from typing import NamedTuple

import numpy as np

TOGETHER = 16
"""LK_TOGETHER of native/kernel.h."""
_COLUMNS = 64


class ByteMatrix(NamedTuple):
    """``rows``: int8 (blocks, chunks, TOGETHER, 64), blocks of rows by chunks of columns, each row at its own scale.

    ``terms``: float32 (3, blocks * TOGETHER): the rows' scales, sums of their true coefficients, and biases.
    """

    rows: np.ndarray
    terms: np.ndarray

    def __len__(self) -> int:
        return self.terms.shape[1]


def shape_of(rows: int, columns: int) -> tuple[int, int, int, int]:
    """The shape of a ByteMatrix' rows."""
    return -(-rows // TOGETHER), -(-columns // _COLUMNS), TOGETHER, _COLUMNS


def in_bytes(matrix: np.ndarray, bias: np.ndarray) -> ByteMatrix:
    """``matrix @ x - bias``: float32 (rows, columns), float32 (rows). The rows that fill it up are infinite."""
    rows, columns = matrix.shape
    blocks, chunks, *_ = shape = shape_of(rows, columns)
    scales = np.maximum(np.abs(matrix).max(axis=1), np.finfo(np.float32).tiny) / 127
    whole = np.zeros((blocks * TOGETHER, chunks * _COLUMNS), np.int8)
    whole[:rows, :columns] = np.rint(matrix / scales[:, None])
    terms = np.zeros((3, len(whole)), np.float32)
    terms[2] = -np.inf
    terms[:, :rows] = scales, matrix.sum(axis=1), bias
    together = whole.reshape(blocks, TOGETHER, chunks, _COLUMNS).swapaxes(1, 2)
    return ByteMatrix(np.ascontiguousarray(together).reshape(shape), terms)


def nearness(centroids: np.ndarray, halves: np.ndarray) -> ByteMatrix:
    """|c|² / 2 - c @ x for each centroid c: least for the nearest. ``halves``: float32 (rows,), |c|² / 2."""
    return in_bytes(-centroids, -halves)
