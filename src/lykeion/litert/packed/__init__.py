"""LiteRT files packed for transport: the format, its decoder, which runs on devices, and its encoder."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .coding import (
        Coding,
        Planes,
        Scaled,
        ScaledCopy,
        Span,
        Sparse,
        Symbols,
        as_numbers,
        compressed,
        encode_spans,
    )
    from .entropy import cost_bits, huffman_bits
    from .unpacking import MAX_BYTES, MAX_SYMBOLS, PackageError, unpack

__all__ = [
    "MAX_BYTES", "MAX_SYMBOLS", "Coding", "PackageError", "Planes", "Scaled", "ScaledCopy", "Span", "Sparse",
    "Symbols", "as_numbers", "compressed", "cost_bits", "encode_spans", "huffman_bits", "unpack",
]  # fmt: skip
__getattr__ = lazy(__name__)
