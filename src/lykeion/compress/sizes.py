"""What a network weighs: as a file, under zstd, by Huffman's account, and packed for delivery."""

from dataclasses import dataclass

import numpy as np

from lykeion.litert.packed import huffman_bits

from .compressed_model import CompressedModel, kernel_layers
from .errors import CompressionError
from .packing import pack
from .weights.integers import kernel_codes

ZSTD_LEVEL = 19
_GAP_BITS = {"dense": 5}
"""Of the distance to the next weight that is not zero: 5 bits in dense layers, 8 elsewhere (arXiv:1510.00149)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes. ``file`` is the LiteRT file with logits, ``zstd`` that under zstd at level 19, ``huffman`` an account
    without a file (None of a file that post-training quantization made), ``packed`` the package that is delivered."""

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
    """Kernels as Deep Compression counts them, and 4 bytes for every other number of the folded network.

    Of a sparse kernel the gaps between weights and the weights are coded, of another one the weights alone; each by a
    code of its own, whose table of values is counted with it. A kernel whose values are too many for a code has 4
    bytes a weight, and gaps.
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
    """Zeros before each weight that is not zero; a gap too long for ``bits`` is broken by a weight of zero."""
    places = np.flatnonzero(weights)
    gaps = np.diff(places, prepend=-1) - 1
    longest = 1 << bits
    fillers = int((gaps // longest).sum())
    return np.concatenate([gaps % longest, np.full(fillers, longest - 1)])
