"""Which kernel weights to make zero: by magnitude, in the requested structure. Plain functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lykeion.compress.errors import CompressionError

Scope: TypeAlias = Literal["layer", "global"]


@dataclass(frozen=True, slots=True)
class Structure:
    """Weights become zero in blocks of ``rows`` × ``columns``; if ``of`` is above 1, the same number in each group of
    ``of`` weights along the rows.

    A kernel is treated as a matrix with one row per input and one column per output channel.
    """

    rows: int = 1
    columns: int = 1
    of: int = 1
    kept: int = 1

    @classmethod
    def parse(cls, text: str) -> "Structure":
        """``unstructured``; ``2:4``, which keeps two of each four; ``4x1``, blocks of four rows and one column.

        Raises CompressionError.
        """
        if text == "unstructured":
            return cls()
        match = re.fullmatch(r"([1-9][0-9]?)([:x])([1-9][0-9]?)", text)
        if match is None:
            raise CompressionError(f"structure {text[:40]!r}: give unstructured, N:M such as 2:4, or RxC such as 4x1")
        first, second = int(match[1]), int(match[3])
        if match[2] == "x":
            return cls(rows=first, columns=second)
        if first >= second:
            raise CompressionError(f"structure {text!r} makes nothing zero: N of N:M is how many are kept of M")
        return cls(of=second, kept=first)


def masks(
    kernels: Mapping[str, np.ndarray], shares: Mapping[str, float], structure: Structure, scope: Scope
) -> dict[str, np.ndarray]:
    """For each kernel, a bool array of its shape, False where it becomes zero.

    ``shares`` are those of zeros, by kernel. In ``scope`` "global" only their mean over all weights counts: a layer's
    share follows from its LAMP scores (Lee et al., arXiv:2010.07611), a weight's square over the sum of its layer's
    squares that are no smaller, so that a layer of small numbers is not removed entirely.
    """
    if structure.of > 1:
        return {name: _n_of_m(kernel, shares[name], structure.of) for name, kernel in kernels.items()}
    scores = {name: _block_scores(_matrix(kernel), structure) for name, kernel in kernels.items()}
    if scope == "layer":
        keep = {name: _highest(score, shares[name]) for name, score in scores.items()}
    else:
        sizes = {name: kernel.size for name, kernel in kernels.items()}
        share = sum(shares[name] * size for name, size in sizes.items()) / sum(sizes.values())
        lamp = {name: _lamp(score) for name, score in scores.items()}
        kept = _highest(np.concatenate([score.reshape(-1) for score in lamp.values()]), share)
        parts = np.split(kept, np.cumsum([score.size for score in lamp.values()])[:-1])
        keep = {name: part.reshape(lamp[name].shape) for name, part in zip(lamp, parts, strict=True)}
    return {name: _spread(keep[name], structure, kernel) for name, kernel in kernels.items()}


def reached(
    kernels: Mapping[str, np.ndarray], shares: Mapping[str, float], structure: Structure, scope: Scope, what: str
) -> dict[str, float]:
    """The shares of the kernels that get any zeros. Raises CompressionError, which begins with ``what``, if none
    does, or if a kernel would become all zeros."""
    parts = {name: _zeros_of(kernels[name], share, structure) for name, share in shares.items()}
    if scope == "global":
        zeros, blocks = (sum(counts) for counts in zip(*parts.values(), strict=True))
        found = dict(shares) if zeros else {}
        full = [] if zeros < blocks else list(parts)
    else:
        found = {name: shares[name] for name, (zeros, _) in parts.items() if zeros}
        full = [name for name, (zeros, blocks) in parts.items() if zeros and zeros == blocks]
    if full:
        raise CompressionError(f"{what} makes all of {full[0]} zero; give a smaller share or smaller blocks")
    if not found:
        raise CompressionError(f"{what} makes nothing zero; give a larger share, smaller blocks, or N:M of fewer M")
    return found


def _zeros_of(kernel: np.ndarray, share: float, structure: Structure) -> tuple[int, int]:
    """How many parts of a kernel become zero by its share, and out of how many: blocks, or rows of whole groups."""
    rows, columns = _matrix(kernel).shape
    if structure.of > 1:
        groups = rows // structure.of
        return groups * (structure.of - structure.kept), groups * structure.of
    blocks = -(-rows // structure.rows) * -(-columns // structure.columns)
    return round(share * blocks), blocks


def _matrix(kernel: np.ndarray) -> np.ndarray:
    return np.abs(kernel.reshape(-1, kernel.shape[-1]))


def _block_scores(matrix: np.ndarray, structure: Structure) -> np.ndarray:
    """Mean magnitude of each block; blocks at the edges may be smaller."""
    rows, columns = (
        np.arange(0, size, step) for size, step in zip(matrix.shape, (structure.rows, structure.columns), strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(matrix.astype(np.float64), rows, axis=0), columns, axis=1)
    counts = np.diff([*rows, matrix.shape[0]])[:, None] * np.diff([*columns, matrix.shape[1]])
    return sums / counts


def _spread(keep: np.ndarray, structure: Structure, kernel: np.ndarray) -> np.ndarray:
    whole = keep.repeat(structure.rows, axis=0).repeat(structure.columns, axis=1)
    rows, columns = _matrix(kernel).shape
    return whole[:rows, :columns].reshape(kernel.shape)


def _highest(scores: np.ndarray, share: float) -> np.ndarray:
    """False for the lowest ``share`` of scores; of equal scores, the first ones are False."""
    keep = np.ones(scores.size, bool)
    keep[np.argsort(scores.reshape(-1), kind="stable")[: round(share * scores.size)]] = False
    return keep.reshape(scores.shape)


def _lamp(scores: np.ndarray) -> np.ndarray:
    squares = scores.reshape(-1) ** 2
    order = np.argsort(squares, kind="stable")
    no_smaller = np.cumsum(squares[order][::-1])[::-1]
    lamp = np.empty_like(squares)
    lamp[order] = squares[order] / np.maximum(no_smaller, 1e-30)
    return lamp.reshape(scores.shape)


def _n_of_m(kernel: np.ndarray, share: float, of: int) -> np.ndarray:
    """Rows after the last whole group are kept."""
    matrix = _matrix(kernel)
    groups = matrix[: len(matrix) // of * of].reshape(-1, of, matrix.shape[1])
    ranks = groups.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    keep = np.ones(matrix.shape, bool)
    keep[: groups.shape[0] * of] = (ranks >= round(share * of)).reshape(-1, matrix.shape[1])
    return keep.reshape(kernel.shape)
