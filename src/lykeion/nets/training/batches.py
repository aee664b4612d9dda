"""Batches for Keras, prepared ahead by threads, in an order that depends on seed and step. Imports Keras."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

from lykeion.core import LykeionError
from lykeion.nets.quiet_keras import keras

from .augmentation import augment
from .frame import normalise
from .order import AUGMENTATION, batch_indices, generator
from .photos import Photos
from .recipe import Recipe

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Photos float32 (n, height, width, channels), −1..1; targets float32 (n, classes), a distribution per photo."""


def training_batch(photos: Photos, classes: int, recipe: Recipe, step: int) -> Batch:
    """The augmented photos of a step, which depend only on recipe and step."""
    places = batch_indices(recipe.seed, step, recipe.batch, len(photos))
    random = generator(recipe.seed, step, AUGMENTATION)
    images = normalise(augment(photos.read(places), recipe, random))
    targets = _one_hot(photos.labels[places], classes)
    if recipe.mixup:
        shares = random.beta(recipe.mixup, recipe.mixup, len(images)).astype(np.float32)
        images = _blend(images, shares[:, None, None, None])
        targets = _blend(targets, shares[:, None])
    return images, targets


class Failed:
    """Keeps the first LykeionError that was raised while Keras read batches.

    TensorFlow wraps exceptions of a data source in its own, of many lines.
    """

    def __init__(self) -> None:
        self._first: LykeionError | None = None

    @contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except LykeionError as error:
            self._first = self._first or error
            raise

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Raise it instead of the wrapped exception."""
        try:
            yield
        except Exception:
            if self._first is not None:
                raise self._first from None
            raise


@contextmanager
def training_batches(
    photos: Photos, classes: int, recipe: Recipe, start: int, stop: int, failed: Failed
) -> Iterator[Iterator[Batch]]:
    """The batches of steps ``start`` to ``stop`` (exclusive), made by as many threads as the photos can use."""
    pool = ThreadPoolExecutor(photos.workers, thread_name_prefix="batches")

    def batches() -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        with failed.noting():
            for step in range(start, stop):
                waiting.append(pool.submit(training_batch, photos, classes, recipe, step))
                if len(waiting) > photos.workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    try:
        yield batches()
    finally:
        pool.shutdown(cancel_futures=True)


class InOrder(keras.utils.PyDataset):
    """All photos once, unchanged: for validation."""

    def __init__(self, photos: Photos, classes: int, batch: int, failed: Failed) -> None:
        super().__init__(workers=photos.workers)
        self._photos, self._classes, self._batch, self._failed = photos, classes, batch, failed

    def __len__(self) -> int:
        return -(-len(self._photos) // self._batch)

    def __getitem__(self, index: int) -> Batch:
        places = np.arange(index * self._batch, min((index + 1) * self._batch, len(self._photos)))
        with self._failed.noting():
            return normalise(self._photos.read(places)), _one_hot(self._photos.labels[places], self._classes)


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    targets = np.zeros((len(labels), classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def _blend(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Each with its neighbour, as the order is already random (mixup, arXiv:1710.09412)."""
    return shares * values + (1 - shares) * np.roll(values, 1, axis=0)
