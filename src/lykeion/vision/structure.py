"""A quick check of a PNG's or GIF's structure before a decoder sees it.

Decoders spend time on each chunk or block, so a small file of a million empty ones can keep one busy for minutes.
The limits here are far above what any photo has.
"""

from .errors import UnusablePhoto

MAX_CHUNKS = 65_536
"""Of a PNG, in all; 128 MiB in the usual chunks of 8 KiB are 16,384."""
MAX_BLOCKS = 4_096
"""Of a GIF, before its first frame."""


def check_png(data: bytes) -> None:
    """Raises UnusablePhoto for a PNG with too many chunks. (W3C PNG, section 5.)"""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at >= len(data):
            return
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise UnusablePhoto(f"a damaged PNG: more than {MAX_CHUNKS:,} chunks")


def check_gif(data: bytes) -> None:
    """Raises UnusablePhoto for a GIF whose first frame comes after too many blocks. (GIF89a, appendix B.)"""
    at = 13 + (3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    for _ in range(MAX_BLOCKS):
        if data[at : at + 1] != b"!":  # a frame, the end, or damage, which the decoder reports
            return
        at += 2
        for _ in range(MAX_BLOCKS):
            if not (length := int.from_bytes(data[at : at + 1])):
                break
            at += 1 + length
        else:
            break
        at += 1
    raise UnusablePhoto(f"a damaged GIF: more than {MAX_BLOCKS:,} blocks before its first frame")
