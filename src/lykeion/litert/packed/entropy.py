"""Entropy coding: the encoder of a package's coded part, and the size that Huffman coding would give."""

import heapq
from collections.abc import Sequence

import numpy as np

from .unpacking import BITS, LANES, LOWEST


def frequencies(counts: np.ndarray) -> np.ndarray:
    """Frequencies of symbols with these ``counts``: integers that add up to 2^BITS, at least 1 for a symbol that
    occurs."""
    total = 1 << BITS
    shares = counts / counts.sum() * total
    found = np.where(counts > 0, np.maximum(np.floor(shares), 1), 0).astype(np.int64)
    while (over := int(found.sum()) - total) != 0:
        # The symbols whose frequency is furthest from their share and can still be changed.
        errors = np.where(counts > 0, found - shares, -np.inf if over > 0 else np.inf)
        if over > 0:
            errors = np.where(found > 1, errors, -np.inf)
        order = np.argsort(-errors if over > 0 else errors, kind="stable")[: abs(over)]
        order = order[np.isfinite(errors[order])]
        found[order] -= np.sign(over)
    return found


def encode(symbols: np.ndarray, models: Sequence[np.ndarray], model_of: np.ndarray) -> bytes:
    """States and words for ``unpacking.decode``: interleaved rANS, written from the last symbol to the first.

    ``symbols`` and ``model_of`` are (n,): each symbol, and the index of its model in ``models``, which are
    ``frequencies``.
    """
    states = np.full(LANES, LOWEST, np.uint64)
    blocks: list[np.ndarray] = []
    if len(symbols):
        of = np.zeros((len(models), max(map(len, models))), np.uint64)
        for row, model in zip(of, models, strict=True):
            row[: len(model)] = model
        starts = np.cumsum(of, axis=1, dtype=np.uint64) - of
        own, begin = of[model_of, symbols], starts[model_of, symbols]
        limits = own << np.uint64(32 - BITS)
        for place in range((len(symbols) - 1) // LANES * LANES, -1, -LANES):
            here = slice(place, place + LANES)
            frequency = own[here]
            state = states[: len(frequency)]
            full = state >= limits[here]
            blocks.append((state[full] & np.uint64(0xFFFF)).astype("<u2"))
            state = np.where(full, state >> np.uint64(16), state)
            states[: len(frequency)] = (state // frequency << np.uint64(BITS)) + state % frequency + begin[here]
    words = np.concatenate(blocks[::-1]) if blocks else np.empty(0, "<u2")
    return states.astype("<u4").tobytes() + words.tobytes()


def cost_bits(counts: np.ndarray, model: np.ndarray | None = None) -> float:
    """Shannon's bound for symbols with these ``counts``, coded by the frequencies in ``model``, by default their
    own."""
    seen = counts > 0
    weights = counts if model is None else model
    return float((counts[seen] * np.log2(weights.sum() / weights[seen])).sum())


def huffman_bits(counts: np.ndarray) -> int:
    """Bits of all symbols in the Huffman code for these counts, without the code table."""
    heap = [int(count) for count in counts if count]
    if len(heap) == 1:
        return heap[0]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        total += joined
        heapq.heappush(heap, joined)
    return total
