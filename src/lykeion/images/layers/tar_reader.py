"""A tar reader for untrusted input: one pass, in order, with limits on all resources.

It reads ustar, pax, and GNU's long names and large numbers, which image layers use. The standard library's
reader has no limits: a long pax header can take gigabytes and minutes.
"""

import hashlib
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lykeion.images.errors import LayerError

from .compression import Readable
from .tar import BLOCK, PIECE_BYTES

LIMITS = {
    "layers": 500,
    "entries": 2_000_000,
    "bytes": 64 << 30,
    "bytes of names and headers": 512 << 20,
    "seconds": 3_600,
}
"""For all layers of an image together."""
LIMIT_HEADER_BYTES = 1 << 20
LIMIT_PATH_BYTES = 4_096
LIMIT_OWNER = (1 << 32) - 1

_KINDS: Mapping[bytes, Literal["file", "directory", "symlink", "hardlink", "device"]] = {
    **dict.fromkeys((b"0", b"\0", b"7"), "file"),
    **dict.fromkeys((b"3", b"4", b"6"), "device"),
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "directory",
}
_PAX_OF_ALL, _PAX, _LONG_NAME, _LONG_TARGET = b"g", (b"x", b"X"), b"L", b"K"


class TarBudget:
    """What is left of the limits for the layers of one image."""

    def __init__(self) -> None:
        self._left = dict(LIMITS)
        self._deadline = time.monotonic() + LIMITS["seconds"]

    def spend(self, unit: str, count: int = 1) -> None:
        """Raises LayerError if that or the time exceeds the limit."""
        self._left[unit] -= count
        if time.monotonic() > self._deadline:
            unit = "seconds"
        elif self._left[unit] >= 0:
            return
        raise LayerError(f"the layers need over {LIMITS[unit]:,} {unit}; an image may not have more")


@dataclass(frozen=True, slots=True)
class TarMember:
    """``name`` has no slash at its end. Names that are not UTF-8 are kept by surrogate escapes."""

    name: str
    kind: Literal["file", "directory", "symlink", "hardlink", "device"]
    mode: int
    uid: int
    gid: int
    size: int
    target: str


class TarReader:
    """Iterate over the members once; ``read`` gives the content of the one at hand. All of it raises LayerError."""

    def __init__(self, stream: Readable, budget: TarBudget) -> None:
        self._stream, self._budget = stream, budget
        self._hash = hashlib.sha256()
        self._left = 0  # of the current content
        self._padding = 0

    def __iter__(self) -> Iterator[TarMember]:
        extended: dict[str, bytes] = {}
        while block := self._next_header():
            self._budget.spend("entries")
            kind, size = block[156:157], _number(block[124:136])
            if kind in (_PAX_OF_ALL, *_PAX, _LONG_NAME, _LONG_TARGET):
                self._extend(extended, kind, size)
                continue
            member = _member(block, kind, size, extended)
            self._budget.spend("bytes of names and headers", len(member.name) + len(member.target))
            self._left = member.size
            self._padding = -member.size % BLOCK
            yield member
            extended = {}

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of a file's content; empty at its end."""
        data = self._take(min(size, self._left))
        self._left -= len(data)
        return data

    def check(self, diff_id: str) -> None:
        """Read to the end. Raises LayerError for a tar of another digest."""
        while data := self._some(PIECE_BYTES):
            self._count(data)
        found = f"sha256:{self._hash.hexdigest()}"
        if found != diff_id:
            raise LayerError(f"a layer unpacks to {found}, and the image's configuration says {diff_id[:80]}")

    def _next_header(self) -> bytes:
        """The next block that is a header; empty at the end."""
        while self.read(PIECE_BYTES):
            pass
        self._take(self._padding)
        self._padding = 0
        block = self._some(BLOCK)
        while 0 < len(block) < BLOCK and (more := self._some(BLOCK - len(block))):
            block += more
        self._count(block)
        if not block.strip(b"\0"):
            return b""
        checksum = sum(block) - sum(block[148:156]) + 8 * ord(" ")
        if len(block) < BLOCK or _number(block[148:156]) != checksum:
            raise LayerError("a layer is not a tar, or is damaged")
        return block

    def _extend(self, extended: dict[str, bytes], kind: bytes, size: int) -> None:
        """Take what a header says of the member after it."""
        if size > LIMIT_HEADER_BYTES:
            raise LayerError(f"a layer has a header of {size:,} bytes; at most {LIMIT_HEADER_BYTES:,} are read")
        self._budget.spend("bytes of names and headers", size)
        content = self._take(size + -size % BLOCK)[:size]
        if kind in (_LONG_NAME, _LONG_TARGET):
            extended["path" if kind == _LONG_NAME else "linkpath"] = content.partition(b"\0")[0]
            return
        records = dict(_records(content))
        if any(name.startswith("GNU.sparse.") for name in records):
            raise LayerError("a layer has a sparse file, which is not supported; pack the layer without --sparse")
        if kind == _PAX_OF_ALL and records.keys() & {"path", "linkpath", "size"}:
            raise LayerError("a layer has one name or size for all its files")
        if kind != _PAX_OF_ALL:
            extended.update(records)

    def _take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        pieces: list[bytes] = []
        left = size
        while left:
            piece = self._some(left)
            if not piece:
                raise LayerError("a layer ends in the middle of a file")
            self._count(piece)
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise LayerError(f"a layer cannot be read: {str(error)[:200]}") from None

    def _count(self, data: bytes) -> None:
        self._budget.spend("bytes", len(data))
        self._hash.update(data)


class Timed:
    """A file whose reading is a matter of the budget's time, however little comes of what is read."""

    def __init__(self, file: Readable, budget: TarBudget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int = -1, /) -> bytes:
        self._budget.spend("seconds", 0)
        return self._file.read(size)


def _member(block: bytes, kind: bytes, size: int, extended: Mapping[str, bytes]) -> TarMember:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345:346] != b"\0":
        name = _text(block[345:500]) + b"/" + name
    name = extended.get("path", name)
    target = extended.get("linkpath", _text(block[157:257]))
    if max(len(name), len(target)) > LIMIT_PATH_BYTES:
        raise LayerError(f"a layer has a name of over {LIMIT_PATH_BYTES:,} bytes")
    if b"\0" in name + target:
        raise LayerError("a layer has a name with a NUL in it")
    if kind not in _KINDS:
        raise LayerError(f"a layer has an entry of type {kind!r}, which is not supported")
    uid, gid = (_decimal(extended, name, _number(block[at : at + 8])) for name, at in (("uid", 108), ("gid", 116)))
    if max(uid, gid) >= LIMIT_OWNER:
        raise LayerError("a layer has a file whose owner is not a 32-bit number")
    meant = "directory" if kind == b"\0" and name.endswith(b"/") else _KINDS[kind]  # before POSIX had directories
    return TarMember(
        name=name.rstrip(b"/").decode("utf-8", "surrogateescape"),
        kind=meant,
        mode=_number(block[100:108]),
        uid=uid,
        gid=gid,
        size=_decimal(extended, "size", size) if meant == "file" else 0,
        target=target.decode("utf-8", "surrogateescape"),
    )


def _records(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The records of a pax header: ``LENGTH NAME=VALUE\\n``, where the length includes itself."""
    at = 0
    while at < len(content):
        digits = content[at : at + 8].partition(b" ")[0]
        end = at + int(digits) if digits.isdigit() else 0
        name, equals, value = content[at + len(digits) + 1 : end].partition(b"=")
        if not equals or value[-1:] != b"\n" or end > len(content):
            raise LayerError("a layer has a damaged pax header")
        yield name.decode("utf-8", "replace"), value[:-1]
        at = end


def _decimal(extended: Mapping[str, bytes], name: str, otherwise: int) -> int:
    digits = extended.get(name)
    if digits is None:
        return otherwise
    if not digits.isdigit() or len(digits) > 20:
        raise LayerError(f"a layer has a damaged pax header: {name} is not a number")
    return int(digits)


def _number(field: bytes) -> int:
    """Octal digits, or (GNU) a number of base 256 where the first bit is set."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise LayerError("a layer has a negative or too large number in a header")
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise LayerError("a layer is not a tar, or is damaged: invalid number")
    return int(digits or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
