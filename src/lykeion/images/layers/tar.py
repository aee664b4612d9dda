"""A tar writer whose bytes depend only on the entries, not on times, owners or library versions.

POSIX ustar headers, preceded by a pax header if a name, a link or a size does not fit (IEEE 1003.1-2017, pax).
The standard library's writer gives different bytes in different Python versions, so it is used for reading only.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from lykeion.images.errors import ImageError

from .entries import WHITEOUT, TarEntry

BLOCK = 512
PIECE_BYTES = 1 << 20
LARGEST_SIZE = 0o77777777777  # the maximum of eleven octal digits

_TYPES = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


def write_tar(entries: Iterable[TarEntry], out: Sink) -> None:
    """Write the entries, sorted by name.

    Raises ImageError for duplicate paths, names of whiteouts, and files that change or cannot be read.
    """
    previous = None
    for entry in sorted(entries, key=_sort_key):
        if entry.path == previous:
            raise ImageError(f"two files have the path /{entry.path} in one layer; exclude one")
        previous = entry.path
        if any(part.startswith(WHITEOUT) for part in entry.path.split("/")):
            raise ImageError(f"/{entry.path} would delete a file of the layers below; rename or exclude it")
        name = _encode(entry.path + "/" if entry.kind == "directory" else entry.path)
        target = _encode(entry.target)
        pax = _pax_records(name, target, entry.size)
        if pax:
            out.write(_header(b"pax", b"x", 0o644, len(pax)) + pax + _padding(len(pax)))
        size = 0 if entry.size > LARGEST_SIZE else entry.size
        out.write(_header(name[:100], _TYPES[entry.kind], entry.mode, size, target[:100]))
        if entry.kind == "file":
            _copy(entry, out)
    out.write(bytes(2 * BLOCK))


def _sort_key(entry: TarEntry) -> tuple[bool, bytes]:
    return entry.kind == "hardlink", _encode(entry.path)  # after the file that it links to


def _pax_records(name: bytes, target: bytes, size: int) -> bytes:
    records = b""
    if len(name) > 100 or not name.isascii():
        records += _record(b"path", name)
    if len(target) > 100 or not target.isascii():
        records += _record(b"linkpath", target)
    if size > LARGEST_SIZE:
        records += _record(b"size", b"%d" % size)
    return records


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _header(name: bytes, kind: bytes, mode: int, size: int, target: bytes = b"") -> bytes:
    block = b"".join(
        [
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,  # user
            b"%07o\0" % 0,  # group
            b"%011o\0" % size,
            b"%011o\0" % 0,  # time
            b" " * 8,  # the checksum field during the calculation
            kind,
            target.ljust(100, b"\0"),
            b"ustar\00000",
            bytes(32 + 32 + 8 + 8 + 155 + 12),  # names of owners, device, prefix
        ]
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _copy(entry: TarEntry, out: Sink) -> None:
    left = entry.size
    with _reading(entry):
        file = entry.open()
    with file:
        while left and (piece := _read(file, entry, left)):
            out.write(piece)
            left -= len(piece)
        if left or _read(file, entry, 1):
            raise ImageError(f"/{entry.path} changed while it was read; build again when nothing writes to it")
    out.write(_padding(entry.size))


def _read(file: BinaryIO, entry: TarEntry, left: int) -> bytes:
    with _reading(entry):
        return file.read(min(left, PIECE_BYTES))


@contextmanager
def _reading(entry: TarEntry) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ImageError(f"/{entry.path} cannot be read: {error.strerror or error}") from None


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
