"""A JPEG's structure, checked before a decoder sees it. (ITU-T T.81, annex B; Exif 2.32; ICC.1, annex B.4)

Decoders spend time and memory on each segment and scan and on EXIF tables, so a small file can keep one busy for
hours. They are given only the segments that decoding needs.
"""

from dataclasses import dataclass

from .errors import UnusablePhoto

MAX_SEGMENTS = 4_096
MAX_JUNK_BYTES = 65_536
"""Between segments."""

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_NEEDED = dict.fromkeys(_FRAMES | {0xC4, 0xCC, 0xDB, 0xDD}, b"") | {
    0xE0: b"JFIF\0",
    0xE2: b"ICC_PROFILE\0",
    0xEE: b"Adobe",
}
"""Markers of the segments that a decoder needs, and the start of their content."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """``data`` is the photo reduced to what decoding needs. ``scans`` is 1 where the pixels come in one scan,
    which decoders read row by row; else at least 2, an upper bound: decoders hold such a photo in memory as a whole.

    Where the end marker is missing, ``data`` has filler in its place, and ``twin`` has other filler there. Decoders
    take both, and give the same pixels only where none is missing. ``twin`` is empty for a photo that ends.
    """

    data: bytes
    scans: int
    exif: bytes
    twin: bytes = b""


def read_structure(data: bytes) -> Jpeg:
    """Raises UnusablePhoto if the pixels cannot be reached."""
    kept, exif = [data[:2]], b""
    at, junk, components, progressive = 2, 0, b"", False
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
            scans = max(2, data.count(_SCAN)) if progressive or data[content] < len(components) else 1
            if data.rfind(_END, marker) >= 0:
                return Jpeg(b"".join([*kept, data[marker:]]), scans, exif)
            if scans > 1 and not _every_scan(data, marker, components):
                raise UnusablePhoto("a damaged JPEG: it ends before its last scan")
            pixels = _without_padding(data[marker:])
            first, second = (b"".join([*kept, pixels, filler]) for filler in _fillers(pixels))
            return Jpeg(first, scans, exif, second)
        at = marker + 2 + max(int.from_bytes(data[marker + 2 : content], "big"), 2)
        if kind in _FRAMES:
            progressive |= kind in _PROGRESSIVE
            components = data[content + 6 :][: 3 * data[content + 5] : 3] if content + 5 < len(data) else b""
        if kind == 0xE1 and not exif and data.startswith(b"Exif\0\0", content):
            exif = data[content:at]
        elif kind in _NEEDED and data.startswith(_NEEDED[kind], content):
            kept.append(data[marker:at])
    raise UnusablePhoto(f"a damaged JPEG: more than {MAX_SEGMENTS:,} segments before its pixels")


def _every_scan(data: bytes, first: int, components: bytes) -> bool:
    """Whether each coefficient of each component is in a scan down to its last bit. Looks at MAX_SEGMENTS scans.

    A file that ends between two scans is a smaller, blurred photo to a decoder.
    """
    missing = dict.fromkeys(components, (1 << 64) - 1)
    at = first
    for _ in range(MAX_SEGMENTS):
        count = data[at + 4] if at + 4 < len(data) else 0
        band = data[at + 5 + 2 * count : at + 8 + 2 * count]
        if len(band) == 3 and band[0] <= band[1] < 64 and not band[2] & 15:
            for component in data[at + 5 : at + 5 + 2 * count : 2]:
                missing[component] = missing.get(component, 0) & ~((2 << band[1]) - (1 << band[0]))
        if (at := data.find(_SCAN, at + 2)) < 0:
            break
    return not any(missing.values())


def _without_padding(scan: bytes) -> bytes:
    """Without the half of a marker, and without what a file system or a flash memory wrote for what it had not.

    One zero stays: after 0xFF, and often where the photo ends in one colour, it is the scan's own.
    """
    bare = scan.rstrip(b"\xff")
    short = bare.rstrip(b"\0")
    return short + bare[len(short) : len(short) + 1]


def _fillers(scans: bytes) -> tuple[bytes, bytes]:
    """Two ways to end the last scan: bits for a decoder that lacks some, the next restart marker for one that waits
    for it (libjpeg gives grey for all that follows a missing one), more bits, and the end."""
    begun = scans.rfind(_SCAN)
    last, number = max((scans.rfind(bytes((0xFF, 0xD0 + n)), begun), n) for n in range(8))
    restart = bytes((0xFF, 0xD0 + (number + 1) % 8 if last >= 0 else 0xD0))
    return b"\0" * 64 + restart + b"\0" * 64 + _END, b"\xaa" * 64 + restart + b"\xaa" * 64 + _END
