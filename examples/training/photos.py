"""Fashion-MNIST for training and validation, the order of its batches, and the options of both programs."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from examples.fashion_mnist.dataset import read_sample, read_whole


@dataclass(frozen=True)
class Photos:
    """Images float32 (n, 28, 28, 1) from 0 to 1, and labels int32 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __getitem__(self, place: slice | np.ndarray) -> "Photos":
        return Photos(self.images[place], self.labels[place])


@dataclass(frozen=True)
class Batch:
    """``step`` counts from 1 over all epochs; ``rows`` are those of all workers."""

    epoch: int
    step: int
    rows: np.ndarray
    ends_epoch: bool

    def part(self, worker: int, workers: int) -> np.ndarray:
        return np.split(self.rows, workers)[worker]


def load(*, sample: bool) -> tuple[Photos, Photos]:
    """For training, and every tenth for validation. Raises DataSetError."""
    images, labels = (read_sample() if sample else read_whole()).splits["train"]
    photos = Photos(images[..., None].astype(np.float32) / 255, labels.astype(np.int32))
    tenth = np.arange(len(labels)) % 10 == 0
    return photos[~tenth], photos[tenth]


def batches(count: int, size: int, *, epochs: int, seed: int, after: int) -> Iterator[Batch]:
    """The batches that follow step ``after``. The order depends on seed and epoch alone."""
    steps = count // size
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for place in range(steps):
            if (step := epoch * steps + place + 1) > after:
                yield Batch(epoch + 1, step, order[place * size : (place + 1) * size], place + 1 == steps)


def options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64, help="of one worker")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-steps", type=int, default=100, help="steps between two checkpoints")
    parser.add_argument("--sample", action="store_true", help="train on the 2,000 photos of this repository")
    return parser.parse_args()
