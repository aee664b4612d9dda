"""Labelled photos, in memory or decoded on demand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from lykeion.core import CONSOLE, Reporter, core_count
from lykeion.vision import PhotoError, decode

from .frame import Frame

MEMORY_BYTES = 2**30
"""Decoded photos are kept in memory up to this size; larger sets are decoded again each epoch."""
ADVICE = "mend or remove what is wrong, or leave it out by --skip-bad"


class Photos(Protocol):
    """``labels`` is int (n,), indices of the data set's classes."""

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def workers(self) -> int:
        """Number of threads that reading can use."""
        ...

    def __len__(self) -> int: ...

    def read(self, places: np.ndarray) -> np.ndarray:
        """uint8 (len(places), height, width, channels). Thread-safe. Raises PhotoError."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """``images`` is uint8 (n, height, width, channels)."""

    images: np.ndarray
    labels: np.ndarray
    workers: int = field(default=1, init=False)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, places: np.ndarray) -> np.ndarray:
        return self.images[places]


@dataclass(frozen=True, slots=True, eq=False)
class OnDisk:
    """Files that are decoded when they are read, each into the frame."""

    paths: tuple[Path, ...]
    labels: np.ndarray
    frame: Frame
    workers: int = field(default_factory=core_count, init=False)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, places: np.ndarray) -> np.ndarray:
        pixels = np.empty((len(places), self.frame.height, self.frame.width, self.frame.channels), np.uint8)
        try:
            for row, place in enumerate(places):
                pixels[row] = _decoded(self.paths[place], self.frame)
        except PhotoError as error:
            raise PhotoError(error.name, f"{error.cause}; {ADVICE}") from None
        return pixels


Opened: TypeAlias = InMemory | OnDisk


def chosen(photos: Opened, places: np.ndarray) -> Opened:
    """Those at these places, in that order."""
    if isinstance(photos, InMemory):
        return InMemory(photos.images[places], photos.labels[places])
    return OnDisk(tuple(photos.paths[place] for place in places), photos.labels[places], photos.frame)


@dataclass(frozen=True, slots=True, eq=False)
class _Some:
    whole: Photos
    places: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.whole.labels[self.places]

    @property
    def workers(self) -> int:
        return self.whole.workers

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: np.ndarray) -> np.ndarray:
        return self.whole.read(self.places[places])


def some(photos: Photos, count: int) -> Photos:
    """``count`` of them, or all, evenly spaced, since they may be sorted by class."""
    return _Some(photos, np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int))


def open_files(
    paths: tuple[Path, ...], labels: np.ndarray, frame: Frame, *, check: bool, reporter: Reporter = CONSOLE
) -> tuple[Opened, dict[int, str]]:
    """Photos of files: decoded now where memory holds them, else when they are read, and with ``check`` now too.

    Also which cannot be decoded, by place, as far as it is known now; what is read in their place means nothing.
    """
    held = len(paths) * frame.height * frame.width * frame.channels <= MEMORY_BYTES
    if not held and not check:
        return OnDisk(paths, labels, frame), {}
    images = np.zeros((len(paths) if held else 0, frame.height, frame.width, frame.channels), np.uint8)

    def decode_part(part: range) -> dict[int, str]:
        failed: dict[int, str] = {}
        for place in part:
            try:
                pixels = _decoded(paths[place], frame)
            except PhotoError as error:
                failed[place] = str(error)
            else:
                if held:
                    images[place] = pixels
        return failed

    bad: dict[int, str] = {}
    parts = [range(start, min(start + 64, len(paths))) for start in range(0, len(paths), 64)]
    with ThreadPoolExecutor(core_count()) as pool, reporter.progress("decoding", len(paths), unit="photos") as bar:
        for part, failed in zip(parts, pool.map(decode_part, parts), strict=True):
            bad |= failed
            bar.advance(len(part))
    return InMemory(images, labels) if held else OnDisk(paths, labels, frame), bad


def _decoded(path: Path, frame: Frame) -> np.ndarray:
    card = frame.card("photos", "embedding", 1)
    return decode(path, at_least=card.at_least).pixels(card)
