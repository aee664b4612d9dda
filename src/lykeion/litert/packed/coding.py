"""The encoder of packages: from bytes, and the coding of each part, to a package."""

import hashlib
import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .entropy import encode, frequencies
from .unpacking import DIGEST, FILTERS, HEADER, LANES, MAGIC, digest_of, scaled


@dataclass(frozen=True, slots=True)
class Planes:
    """Items of ``width`` bytes, stored by byte position, as the bytes at one position are similar."""

    width: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Symbols:
    """Items that are all in ``table``, uint8 (n, width), ascending as little-endian numbers. With ``shared``, parts
    with equal tables share one frequency model."""

    table: np.ndarray
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Sparse:
    """Float32 with many zeros."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Float32: each is one of ``values`` times its channel's gain over ``divisor``, in float64, rounded once.

    The channel changes every ``repeat`` items. Values, ascending, and gains are float32.
    """

    values: np.ndarray
    gains: np.ndarray
    repeat: int
    divisor: float

    def places(self, content: bytes) -> np.ndarray:
        """The index of each item's value, or of the nearest one."""
        factors = self.gains.astype(np.float64) / self.divisor
        numbers = np.frombuffer(content, "<f4").astype(np.float64).reshape(-1, len(factors), self.repeat)
        middles = (self.values[1:].astype(np.float64) + self.values[:-1]) / 2
        return np.asarray(np.searchsorted(middles, (numbers / factors[:, None]).reshape(-1)))

    def gives(self, content: bytes) -> bool:
        """Whether values and gains reproduce the bytes exactly."""
        if not self.gains.all():
            return False
        made = scaled(self.places(content), self.values, self.gains, self.repeat, self.divisor)
        return made.tobytes() == content


@dataclass(frozen=True, slots=True)
class ScaledCopy:
    """Float32: the same number of items at offset ``source``, in parts of other codings, times ``factor``."""

    source: int
    factor: float


Coding: TypeAlias = Planes | Symbols | Sparse | Scaled | ScaledCopy


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file."""

    offset: int
    size: int
    coding: Coding = field(default=Planes(), repr=False)


def encode_spans(file: bytes, spans: Sequence[Span]) -> bytes:
    """The package of a file; spans must not overlap, and what none covers is compressed as it is."""
    work, done = _Work(), 0
    for span in sorted(spans, key=lambda span: span.offset):
        work.plain(file[done : span.offset])
        work.coded(span.coding, file[span.offset : span.offset + span.size])
        done = span.offset + span.size
    work.plain(file[done:])
    return work.finish(file)


def as_numbers(items: np.ndarray) -> np.ndarray:
    """Items uint8 (n, width) as integers that sort."""
    wide = np.zeros((len(items), 8), np.uint8)
    wide[:, : items.shape[1]] = items
    return wide.view("<u8").reshape(-1)


class _Work:
    """Collects pieces, plain part, symbols and models."""

    def __init__(self) -> None:
        self._pieces: list[list[Any]] = []
        self._plain: list[bytes] = []
        self._symbols: list[np.ndarray] = []
        self._model_of: list[int] = []
        self._counts: list[np.ndarray] = []
        self._shared: dict[bytes, int] = {}

    def plain(self, content: bytes) -> None:
        if content:
            self._pieces.append(["plain", len(content)])
            self._plain.append(content)

    def coded(self, coding: Coding, content: bytes) -> None:
        size = len(content)
        match coding:
            case Planes(width):
                self._pieces.append(["planes", size, width])
                self._add_planes(np.frombuffer(content, np.uint8).reshape(-1, width))
            case Symbols(table, shared):
                width = table.shape[1]
                items = as_numbers(np.frombuffer(content, np.uint8).reshape(-1, width))
                symbols = np.asarray(np.searchsorted(as_numbers(table), items))
                model = self._model(symbols, len(table), table.tobytes() if shared else b"")
                self._pieces.append(["symbols", size, width, model])
                self._add_planes(table)
            case Sparse():
                items = np.frombuffer(content, np.uint8).reshape(-1, 4)
                kept = items.any(axis=1)
                self._pieces.append(["sparse", size, self._model(np.asarray(kept, np.int64), 2, b"")])
                self._add_planes(items[kept])
            case Scaled(values, gains, repeat, divisor):
                model = self._model(coding.places(content), len(values), b"")
                self._pieces.append(["scaled", size, model, repeat, len(gains), divisor])
                self._plain += [values.astype("<f4").tobytes(), gains.astype("<f4").tobytes()]
            case ScaledCopy(source, factor):
                self._pieces.append(["product", size, source, factor])

    def finish(self, file: bytes) -> bytes:
        models = [frequencies(counts) for counts in self._counts]
        lengths = [len(each) for each in self._symbols]
        symbols = np.concatenate([np.empty(0, np.int64), *self._symbols])
        coded = encode(symbols, models, np.repeat(np.array(self._model_of, np.int64), lengths))
        plan = {
            "sha256": hashlib.sha256(file).hexdigest(),
            "pieces": self._pieces,
            "models": [model.tolist() for model in models],
        }
        written, plain = json.dumps(plan, separators=(",", ":")).encode(), b"".join(self._plain)
        parts = (compressed(written), compressed(plain), coded)
        sizes = (len(file), len(parts[0]), len(written), len(parts[1]), len(plain))
        words = (len(coded) - 4 * LANES) // 2
        package = bytearray(HEADER.pack(MAGIC, *sizes, len(symbols), words, bytes(32)) + b"".join(parts))
        package[DIGEST] = digest_of(bytes(package))
        return bytes(package)

    def _model(self, symbols: np.ndarray, size: int, shared: bytes) -> int:
        """The model's index; the symbols are added to its counts."""
        place = self._shared.get(shared, len(self._counts)) if shared else len(self._counts)
        if shared:
            self._shared[shared] = place
        if place == len(self._counts):
            self._counts.append(np.zeros(size, np.int64))
        self._counts[place] += np.bincount(symbols, minlength=size)
        self._symbols.append(symbols)
        self._model_of.append(place)
        return place

    def _add_planes(self, items: np.ndarray) -> None:
        self._plain.append(items.T.tobytes())


def compressed(content: bytes) -> bytes:
    """Compressed the way plan and plain part are."""
    return lzma.compress(content, lzma.FORMAT_RAW, filters=FILTERS) if content else b""
