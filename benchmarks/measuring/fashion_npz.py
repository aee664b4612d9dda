"""Fashion-MNIST by name, or a part of it as an .npz file for quick runs."""

from pathlib import Path

import numpy as np

from examples.fashion_mnist import load
from examples.fashion_mnist.sources import DEBIAN


def photos_for(work: Path, photos: int) -> str:
    """Data for ``--data``: all of it, or ``photos`` to train on and a fifth as many each to validate and to test."""
    if photos >= 50_000:
        return str(DEBIAN)
    path = work / f"fashion-{photos}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        (images, labels), (tests, answers) = load("train"), load("test")
        fifth = photos // 5
        np.savez(
            path,
            x_train=images[:photos],
            y_train=labels[:photos],
            x_validation=images[50_000 : 50_000 + fifth],
            y_validation=labels[50_000 : 50_000 + fifth],
            x_test=tests[:fifth],
            y_test=answers[:fifth],
        )
    return str(path)
