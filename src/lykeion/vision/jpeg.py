"""A JPEG's own structure, walked before a decoder sees it. (ITU-T T.81, annex B; Exif 2.32; ICC.1, annex B.4)

Decoders spend time and memory on each segment and scan, and on what they read from EXIF tables, so a small file can
keep one busy for hours. They are given only what they need to decode.
"""

from dataclasses import dataclass

from .errors import UnusablePhoto

MAX_SEGMENTS = 4_096
MAX_JUNK_BYTES = 65_536
"""Between segments."""

_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_NEEDED = dict.fromkeys(_FRAMES | {0xC4, 0xCC, 0xDB, 0xDD}, b"") | {
    0xE0: b"JFIF\0",
    0xE2: b"ICC_PROFILE\0",
    0xEE: b"Adobe",
}
"""Markers of the segments a decoder needs, and how their content begins."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """``data`` is the photo without what decoding does not need. ``scans`` is 1 where the pixels come in one scan,
    which decoders read row by row; else at least 2, and no fewer than there are: decoders hold such a photo whole."""

    data: bytes
    scans: int
    exif: bytes


def read_structure(data: bytes) -> Jpeg:
    """Raises UnusablePhoto where there is no way to the pixels."""
    kept, exif = [data[:2]], b""
    at, junk, components, progressive = 2, 0, 0, False
    for _ in range(MAX_SEGMENTS):
        marker = data.find(b"\xff", at)
        junk += marker - at
        while 0 <= marker < len(data) - 1 and data[marker + 1] == 0xFF and junk <= MAX_JUNK_BYTES:
            marker, junk = marker + 1, junk + 1
        if not 0 <= marker < len(data) - 4 or junk > MAX_JUNK_BYTES:
            raise UnusablePhoto("a damaged JPEG: it ends before its pixels")
        kind, content = data[marker + 1], marker + 4
        if kind in _STANDALONE:
            at = marker + 2
            continue
        if kind == 0xDA:
            whole = progressive or data[content] < components
            kept.append(data[marker:])
            return Jpeg(b"".join(kept), max(2, data.count(b"\xff\xda")) if whole else 1, exif)
        at = marker + 2 + max(int.from_bytes(data[marker + 2 : content], "big"), 2)
        if kind in _FRAMES:
            progressive |= kind in _PROGRESSIVE
            components = data[content + 5] if content + 5 < len(data) else 0
        if kind == 0xE1 and not exif and data.startswith(b"Exif\0\0", content):
            exif = data[content:at]
        elif kind in _NEEDED and data.startswith(_NEEDED[kind], content):
            kept.append(data[marker:at])
    raise UnusablePhoto(f"a damaged JPEG: more than {MAX_SEGMENTS:,} segments before its pixels")
