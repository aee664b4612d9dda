"""Sizes of a network: as a file, compressed by zstd, as counted for Huffman coding, and packed for delivery."""

from dataclasses import dataclass

import numpy as np

from lykeion.litert.packed import huffman_bits

from .compressed_model import CompressedModel, kernel_layers
from .errors import CompressionError
from .packing import pack
from .weights.integers import kernel_codes

ZSTD_LEVEL = 19
_GAP_BITS = {"dense": 5}
"""Bits of the distance to the next nonzero weight: 5 in dense layers, 8 elsewhere (arXiv:1510.00149)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes. ``file`` is the LiteRT file with logits, ``zstd`` that file compressed by zstd at level 19, ``huffman``
    a count without a file (None after post-training quantization), ``packed`` the package for delivery."""

    file: int
    zstd: int
    huffman: int | None
    packed: int


def sizes_of(model: CompressedModel) -> Sizes:
    """Raises CompressionError."""
    try:
        import zstandard
    except ImportError:
        raise CompressionError("sizes need zstandard: pip install 'lykeion[compress]'") from None
    package, file = pack(model)
    return Sizes(
        len(file),
        len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(file)),
        huffman_bytes(model) if model.converted is None else None,
        len(package),
    )


def huffman_bytes(model: CompressedModel) -> int:
    """Kernels as counted in Deep Compression, and 4 bytes for every other number of the folded network.

    For a sparse kernel the gaps between weights and the weights are coded, for others the weights alone; each with
    its own code, whose table of values is included. A kernel with too many values for a code takes 4 bytes per
    weight, and gaps.
    """
    bits = 0
    for layer in kernel_layers(model.architecture):
        kernel = kernel_codes(layer, model).codes if model.ranges is not None else model.kernels[layer.name]
        value_bits = 8 if model.ranges is not None else 32
        flat = kernel.reshape(-1)
        if layer.name in model.sparse:
            gaps = relative_gaps(flat, _GAP_BITS.get(layer.kind, 8))
            counts = np.bincount(gaps)
            bits += huffman_bits(counts) + 8 * int(np.count_nonzero(counts))
            fillers = len(gaps) - np.count_nonzero(flat)
            flat = np.concatenate([flat[flat != 0], np.zeros(fillers, flat.dtype)])
        values, counts = np.unique(flat, return_counts=True)
        coded = huffman_bits(counts) + (value_bits + 8) * len(values)
        bits += min(coded, value_bits * len(flat))
        bits += 32 * layer.channels * (2 if model.ranges is not None else 1)  # bias, and scales
    return -(-bits // 8)


def relative_gaps(weights: np.ndarray, bits: int) -> np.ndarray:
    """Zeros before each nonzero weight; a gap too long for ``bits`` is split by a weight of zero."""
    places = np.flatnonzero(weights)
    gaps = np.diff(places, prepend=-1) - 1
    longest = 1 << bits
    fillers = int((gaps // longest).sum())
    return np.concatenate([gaps % longest, np.full(fillers, longest - 1)])
