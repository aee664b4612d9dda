"""Which training photos are set aside for validation where the data has no split of its own."""

import numpy as np

from lykeion.nets.training.order import generator

PARTS = 6
"""One photo in so many is set aside: 10,000 of Fashion-MNIST's 60,000."""
_SPLIT = 2


def set_aside(labels: np.ndarray, contents: np.ndarray) -> np.ndarray:
    """A mask: of each class its share, the same photos each time; those that are the same to the byte stay together.

    Every class keeps one photo or more to train on.
    """
    random = generator(0, 0, _SPLIT)
    counts = np.bincount(labels)
    shares = counts / PARTS
    left = np.floor(shares).astype(int)
    by_remainder = np.lexsort((random.permutation(len(counts)), left - shares))
    by_remainder = by_remainder[counts[by_remainder] > 1]
    left[by_remainder[: len(labels) // PARTS - left.sum()]] += 1
    sizes = np.bincount(contents)
    chosen: dict[int, bool] = {}
    for place in random.permutation(len(labels)):
        content = int(contents[place])
        if content not in chosen:
            chosen[content] = bool(sizes[content] <= left[labels[place]])
            left[labels[place]] -= sizes[content] * chosen[content]
    return np.array([chosen[int(content)] for content in contents], bool)
