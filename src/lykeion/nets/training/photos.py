"""Labelled photos, in memory or decoded as they are needed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from lykeion.core import CONSOLE, Reporter, core_count
from lykeion.vision import decode

from .frame import Frame

MEMORY_BYTES = 2**30
"""Decoded photos are kept in memory up to this size; larger sets are decoded again each epoch."""


class Photos(Protocol):
    """``labels`` is int (n,), places in the data set's classes."""

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def workers(self) -> int:
        """Threads that reading keeps busy."""
        ...

    def __len__(self) -> int: ...

    def read(self, places: np.ndarray) -> np.ndarray:
        """uint8 (len(places), height, width, channels). Threads may call it at once. Raises PhotoError."""
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
        card = self.frame.card("photos", "embedding", 1)
        decoded = (decode(self.paths[place], at_least=card.at_least).pixels(card) for place in places)
        shape = (len(places), self.frame.height, self.frame.width, self.frame.channels)
        return np.fromiter(decoded, np.dtype((np.uint8, shape[1:])), len(places)).reshape(shape)


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
    """``count`` of them, or all, from front to back: they may be in the order of their classes."""
    return _Some(photos, np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int))


def open_files(paths: tuple[Path, ...], labels: np.ndarray, frame: Frame, *, reporter: Reporter = CONSOLE) -> Photos:
    """Photos of files: decoded now where memory holds them, else when they are read. Raises PhotoError."""
    on_disk = OnDisk(paths, labels, frame)
    if len(paths) * frame.height * frame.width * frame.channels > MEMORY_BYTES or not paths:
        return on_disk
    images = np.empty((len(paths), frame.height, frame.width, frame.channels), np.uint8)
    with (
        ThreadPoolExecutor(on_disk.workers) as pool,
        reporter.progress("decoding", len(paths), unit="photos") as bar,
    ):
        for part, decoded in zip(_parts(len(paths)), pool.map(on_disk.read, _parts(len(paths))), strict=True):
            images[part] = decoded
            bar.advance(len(part))
    return InMemory(images, labels)


def _parts(count: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + 64, count)) for start in range(0, count, 64)]
