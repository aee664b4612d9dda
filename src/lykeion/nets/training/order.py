"""The photos of a step as a function of seed and step, so that a resumed training continues in the same order."""

from functools import lru_cache

import numpy as np

ORDER, AUGMENTATION = 0, 1
"""Purposes of random numbers; their streams are independent."""


def generator(seed: int, number: int, purpose: int) -> np.random.Generator:
    """Random numbers of one epoch or step: Philox (Salmon et al. 2011) keyed by seed and number."""
    return np.random.Generator(np.random.Philox(key=[seed, number], counter=[0, 0, 0, purpose]))


def batch_indices(seed: int, step: int, batch: int, count: int) -> np.ndarray:
    """Indices of the photos of a step, int64 (batch,), in a set of ``count``.

    Epochs are concatenated permutations, so that a batch may have the end of one and the beginning of the next, and
    every photo is used once per epoch.
    """
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
    parts = [_permutation(seed, int(epoch), count)[places[epochs == epoch]] for epoch in np.unique(epochs)]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, epoch, ORDER).permutation(count)
