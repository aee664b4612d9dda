"""Unpacking: from a package to the exact bytes of the LiteRT file. Imports only NumPy and the standard library, since
it runs on devices.

A package is a header of 88 bytes, little-endian::

    8   magic, LYKPACK and the version of the format
    8   bytes of the file
    4   bytes of the plan, 4 bytes it unpacks to
    4   bytes of the plain part, 4 bytes it unpacks to
    4   symbols, 4 words of 16 bits of the coded part
    8   zero
    32  SHA-256 of everything after the header and of the header up to here, the 32 bytes seen as zero
    8   zero

and then plan, plain part and coded part. Plan and plain part are LZMA streams (raw LZMA2, dictionary of 8 MiB). The
plan is JSON: the digest of the file, the ``pieces`` of it in order, and the frequencies of the ``models``. The coded
part is one stream of symbols by interleaved range asymmetric numeral systems (rANS, Duda, arXiv:1311.2540): LANES
states, each word of 16 bits; symbol i belongs to lane i mod LANES and to the model of its piece.

A piece is ``[kind, bytes, …]``; it reads the plain part from where the previous piece ended:

    plain               the bytes themselves
    planes, width       items of this width in bytes; the plain part has all first bytes, then all second ones …
    symbols, width, m   one symbol per item, by model m, into a table of items, which is in the plain part
    sparse, m           float32: one symbol each, by model m, 0 or 1; the ones' items are in the plain part, as planes
    scaled, m, repeat, channels, divisor
                        float32: table[symbol] · gain[channel] / divisor in float64, rounded once; channels change
                        every ``repeat`` items; table and gains, float32, are in the plain part
    product, offset, factor
                        float32: as many items at the offset in the file, in pieces of other kinds, times factor in
                        float64, rounded once

A file above a limit is refused before memory is allocated; unpacking needs a small multiple of the file's size.
"""

import hashlib
import json
import lzma
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from lykeion.core import Invalid, first_line

MAGIC = b"LYKPACK\x01"
HEADER = struct.Struct("<8sQIIIIII8x32s8x")
DIGEST = slice(48, 80)
FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 8 << 20, "lc": 0, "lp": 0, "pb": 0}]
LANES = 128
BITS = 12
"""Frequencies of a model add up to 2 to this power."""
LOWEST = 1 << 16
"""A state is at least this, and below 2³²."""
MAX_BYTES = 256 << 20
MAX_PLAN_BYTES = 4 << 20
MAX_MODELS, MAX_SYMBOLS = 4096, 256
_CHUNK = LANES << 9
"""Symbols that are looked up at once."""


class PackageError(Invalid):
    """A package that is damaged, too large, or of another version; nothing of it is used."""


def unpack(package: bytes, *, limit_bytes: int = MAX_BYTES, name: str = "package") -> bytes:
    """The LiteRT file. Raises PackageError, which calls the package ``name``."""
    try:
        return _unpack(memoryview(package), limit_bytes)
    except PackageError as error:
        raise PackageError(f"{name}: {error}") from None
    except MemoryError:
        raise PackageError(f"{name}: not enough memory to unpack it") from None
    except (ValueError, LookupError, TypeError, OverflowError, EOFError, RecursionError, lzma.LZMAError) as error:
        raise PackageError(f"{name}: damaged ({first_line(error)}); fetch it again") from None


@dataclass(frozen=True, slots=True)
class Header:
    file: int
    plan: int
    plan_unpacked: int
    plain: int
    plain_unpacked: int
    symbols: int
    words: int
    digest: bytes

    @classmethod
    def read(cls, package: memoryview, limit_bytes: int = MAX_BYTES) -> "Header":
        """Raises PackageError if it is not a package, has another version, or declares more than the limit;
        ValueError if its sizes are inconsistent."""
        if len(package) < HEADER.size or bytes(package[:7]) != MAGIC[:7]:
            raise PackageError("not a package: it lacks the mark LYKPACK")
        magic, *fields = HEADER.unpack(package[: HEADER.size])
        if magic != MAGIC:
            raise PackageError(f"version {magic[7]}; this release reads version {MAGIC[7]}")
        header = cls(*fields)  # pyright: ignore[reportCallIssue]
        if header.file > limit_bytes:
            raise PackageError(f"the file has {header.file:,} bytes; at most {limit_bytes:,} are allowed")
        if (
            header.plan_unpacked > MAX_PLAN_BYTES
            or header.plain_unpacked > 2 * header.file + MAX_PLAN_BYTES
            or header.symbols > header.file
        ):
            raise ValueError("its sizes contradict one another")
        if len(package) != HEADER.size + header.plan + header.plain + 4 * LANES + 2 * header.words:
            raise ValueError(f"{len(package):,} bytes, which differs from its header")
        return header


def digest_of(package: bytes | memoryview) -> bytes:
    """SHA-256 of a package, with the digest field taken as zeros."""
    digest = hashlib.sha256(package[: DIGEST.start])
    digest.update(bytes(32))
    digest.update(package[DIGEST.stop :])
    return digest.digest()


@dataclass(slots=True)
class _Plain:
    """The plain part, read from front to back."""

    content: memoryview
    position: int = 0

    def take(self, size: int) -> memoryview:
        if not 0 <= size <= len(self.content) - self.position:
            raise ValueError("the plain part is too short")
        self.position += size
        return self.content[self.position - size : self.position]

    def floats(self, count: int) -> np.ndarray:
        return np.frombuffer(self.take(4 * count), "<f4")

    def planes(self, count: int, width: int) -> np.ndarray:
        """uint8 (count, width)."""
        return np.frombuffer(self.take(count * width), np.uint8).reshape(width, count).T


def _unpack(package: memoryview, limit_bytes: int) -> bytes:
    header = Header.read(package, limit_bytes)
    if digest_of(package) != header.digest:
        raise ValueError("wrong checksum")
    at = HEADER.size
    plan = json.loads(_expand(package[at : at + header.plan], header.plan_unpacked))
    at += header.plan
    plain = _Plain(memoryview(_expand(package[at : at + header.plain], header.plain_unpacked)))
    at += header.plain
    pieces, models = _checked(plan, header)
    counts = [(_count(piece), piece[3 if piece[0] == "symbols" else 2]) for piece in pieces if piece[0] in _CODED]
    symbols = decode(package[at:], models, counts)
    file, done, used = np.empty(header.file, np.uint8), 0, 0
    products: list[tuple[int, list[Any]]] = []
    for piece in pieces:
        if piece[0] == "product":
            products.append((done, piece))
            done += piece[1]
            continue
        own = symbols[used : used + _count(piece)] if piece[0] in _CODED else symbols[:0]
        used += len(own)
        made = _made(piece, own, plain, models)
        file[done : done + len(made)] = made
        done += len(made)
    for place, (_, size, offset, factor) in products:
        numbers = file[offset : offset + size].view("<f4").astype(np.float64) * factor
        file[place : place + size] = numbers.astype("<f4").view(np.uint8)
    if plain.position != len(plain.content):
        raise ValueError("the plain part is too long")
    content = file.tobytes()
    if hashlib.sha256(content).hexdigest() != plan["sha256"]:
        raise ValueError("wrong checksum of the file")
    return content


_CODED = ("symbols", "sparse", "scaled")


def _checked(plan: Any, header: Header) -> tuple[list[list[Any]], list[np.ndarray]]:
    """Pieces and models of a plan, with all numbers checked. Raises ValueError."""
    models = [np.array(model, np.int64) for model in plan["models"]]
    if len(models) > MAX_MODELS:
        raise ValueError("too many models")
    for model in models:
        if model.ndim != 1 or not 1 <= len(model) <= MAX_SYMBOLS:
            raise ValueError("the frequencies of a model")
        # Each by itself first: a 64-bit sum may overflow.
        if not 0 <= model.min() <= model.max() <= 1 << BITS or model.sum() != 1 << BITS:
            raise ValueError("the frequencies of a model")
    pieces: list[list[Any]] = plan["pieces"]
    for kind, *numbers in pieces:
        whole = numbers[:-1] if kind in ("scaled", "product") else numbers
        if len(numbers) != _NUMBERS[kind] or any(type(number) is not int or number < 0 for number in whole):
            raise ValueError(f"a piece of kind {kind!r}")
    for piece in pieces:
        model = piece[3 if piece[0] == "symbols" else 2] if piece[0] in _CODED else 0
        width = piece[2] if piece[0] in ("planes", "symbols") else 1 if piece[0] == "plain" else 4
        if not 1 <= width <= 8 or piece[1] % width or (piece[0] in _CODED and model >= len(models)):
            raise ValueError(f"a piece of kind {piece[0]!r}")
        if piece[0] == "product" and (piece[2] + piece[1] > header.file or type(piece[3]) is not float):
            raise ValueError("a piece of kind 'product'")
    if sum(piece[1] for piece in pieces) != header.file:
        raise ValueError("its pieces add up to another size")
    if sum(_count(piece) for piece in pieces if piece[0] in _CODED) != header.symbols:
        raise ValueError("its pieces have another number of symbols")
    return pieces, models


_NUMBERS = {"plain": 1, "planes": 2, "symbols": 3, "sparse": 2, "scaled": 5, "product": 3}


def _count(piece: list[Any]) -> int:
    """Symbols of a coded piece."""
    return piece[1] // (piece[2] if piece[0] == "symbols" else 4)


def _made(piece: list[Any], symbols: np.ndarray, plain: _Plain, models: list[np.ndarray]) -> np.ndarray:
    """A piece's bytes, uint8."""
    match piece:
        case ["plain", size]:
            return np.frombuffer(plain.take(size), np.uint8)
        case ["planes", size, width]:
            return plain.planes(size // width, width).reshape(-1)
        case ["symbols", _, width, model]:
            table = plain.planes(len(models[model]), width)
            items = np.empty((len(symbols), width), np.uint8)
            for place in range(0, len(symbols), _CHUNK):  # NumPy makes 8 bytes of each index
                items[place : place + _CHUNK] = table[symbols[place : place + _CHUNK]]
            return items.reshape(-1)
        case ["sparse", size, _]:
            items = np.zeros((size // 4, 4), np.uint8)
            kept = symbols != 0
            items[kept] = plain.planes(int(kept.sum()), 4)
            return items.reshape(-1)
        case ["scaled", size, model, repeat, channels, divisor]:
            return scaled(symbols, plain.floats(len(models[model])), plain.floats(channels), repeat, divisor)[:size]
    raise ValueError(f"a piece of kind {piece[0]!r}")


def scaled(symbols: np.ndarray, table: np.ndarray, gains: np.ndarray, repeat: int, divisor: float) -> np.ndarray:
    """Bytes of float32 table[symbol] · (gain / divisor), the channel changing every ``repeat`` symbols."""
    if not len(gains) or not repeat or len(symbols) % (len(gains) * repeat) or not divisor > 0:
        raise ValueError("a piece of kind 'scaled'")
    factors = gains.astype(np.float64) / float(divisor)
    values = table.astype(np.float64)[symbols].reshape(-1, len(gains), repeat) * factors[:, None]
    return np.ascontiguousarray(values.astype("<f4")).reshape(-1).view(np.uint8)


def decode(coded: bytes | memoryview, models: list[np.ndarray], counts: list[tuple[int, int]]) -> np.ndarray:
    """All symbols, uint8, of the states and words of ``coded``; ``counts`` are (symbols, model) in order.

    Raises ValueError where the words end too early, too late or in another state.
    """
    total = sum(count for count, _ in counts)
    found = np.empty(total, np.uint8)
    states = np.frombuffer(coded, "<u4", LANES).astype(np.uint64)
    words = np.frombuffer(coded, "<u2", offset=4 * LANES)
    frequencies = np.zeros((len(models), MAX_SYMBOLS), np.uint64)
    slots = np.empty((len(models), 1 << BITS), np.uint8)
    for number, model in enumerate(models):
        frequencies[number, : len(model)] = model
        slots[number] = np.repeat(np.arange(len(model), dtype=np.uint8), model)
    starts = np.cumsum(frequencies, axis=1, dtype=np.uint64) - frequencies
    owners, ends = np.array([model for _, model in counts]), np.cumsum([count for count, _ in counts])
    used, mask = 0, np.uint64((1 << BITS) - 1)
    for chunk in range(0, total, _CHUNK):
        model_of = owners[np.searchsorted(ends, np.arange(chunk, min(chunk + _CHUNK, total)), side="right")]
        for place in range(0, len(model_of), LANES):
            which = model_of[place : place + LANES]
            state = states[: len(which)]
            slot = state & mask
            symbol = slots[which, slot]
            found[chunk + place : chunk + place + LANES] = symbol
            state = frequencies[which, symbol] * (state >> np.uint64(BITS)) + slot - starts[which, symbol]
            low = np.flatnonzero(state < LOWEST)
            if used + len(low) > len(words):
                raise ValueError("the coded part is too short")
            state[low] = (state[low] << np.uint64(16)) | words[used : used + len(low)].astype(np.uint64)
            used += len(low)
            states[: len(which)] = state
    if used != len(words) or (states != LOWEST).any():
        raise ValueError("the coded part does not end as it should")
    return found


def _expand(stream: memoryview, size: int) -> bytes:
    """Exactly ``size`` bytes. Raises ValueError, LZMAError."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS)
    content = decompressor.decompress(stream, max_length=size) if size else b""
    if len(content) != size:
        raise ValueError("a part unpacks to another size")
    return content
