"""A quick walk over a file's own structure before a decoder sees it.

Decoders spend time and memory for each segment, chunk or scan, so a small file can keep one busy for hours with a
million empty ones. What is counted here is bounded by numbers no photo comes near.
"""

from .errors import Refusal

MAX_SEGMENTS = 4_096
"""Before the pixels, of a JPEG or GIF."""
MAX_CHUNKS = 65_536
"""Of a PNG, in all; 128 MiB in the usual chunks of 8 KiB are 16,384."""
MAX_JUNK_BYTES = 65_536
"""Between the segments of a JPEG."""

_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def jpeg_scans(data: bytes) -> int:
    """1 for a JPEG whose pixels come in one scan, which decoders read row by row; else at least 2, and no fewer
    than its scans: decoders hold such a photo whole. Raises Refusal. (ITU-T T.81, annex B.)"""
    at, junk, components, progressive = 2, 0, 0, False
    for _ in range(MAX_SEGMENTS):
        marker = data.find(b"\xff", at)
        junk += marker - at
        while 0 <= marker < len(data) - 1 and data[marker + 1] == 0xFF and junk <= MAX_JUNK_BYTES:
            marker, junk = marker + 1, junk + 1
        if not 0 <= marker < len(data) - 4 or junk > MAX_JUNK_BYTES:
            raise Refusal("a damaged JPEG: it ends before its pixels")
        kind, at = data[marker + 1], marker + 2
        if kind in _STANDALONE:
            continue
        if kind == 0xDA:
            return 1 if not progressive and data[at + 2] >= components else max(2, data.count(b"\xff\xda"))
        if kind in _FRAMES:
            progressive |= kind in _PROGRESSIVE
            components = data[at + 7] if at + 7 < len(data) else 0
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
    raise Refusal(f"a damaged JPEG: more than {MAX_SEGMENTS:,} segments before its pixels")


def check_png(data: bytes) -> None:
    """Raises Refusal for a PNG of too many chunks. (W3C PNG, section 5.)"""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at >= len(data):
            return
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise Refusal(f"a damaged PNG: more than {MAX_CHUNKS:,} chunks")


def check_gif(data: bytes) -> None:
    """Raises Refusal for a GIF whose first frame comes after too many blocks. (GIF89a, appendix B.)"""
    at = 13 + (3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    for _ in range(MAX_SEGMENTS):
        if data[at : at + 1] != b"!":  # a frame, the end, or damage: the decoder's to say
            return
        at += 2
        for _ in range(MAX_SEGMENTS):
            if not (length := int.from_bytes(data[at : at + 1])):
                break
            at += 1 + length
        else:
            break
        at += 1
    raise Refusal(f"a damaged GIF: more than {MAX_SEGMENTS:,} blocks before its first frame")
