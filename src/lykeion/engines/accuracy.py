"""How often a model file is right about labelled photos, on a given engine."""

from dataclasses import dataclass

import numpy as np

from .protocol import Engine, ModelError

BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Photos, uint8 (n, height, width, channels) in the size of the network, and labels, int (n,).

    ``mean`` and ``std`` are what the network was trained with: (pixel − mean) / std.
    """

    photos: np.ndarray
    labels: np.ndarray
    mean: float = 127.5
    std: float = 127.5


def check_classes(outputs: int, data: Labelled, name: str = "model") -> None:
    """Raises ModelError where a model gives fewer numbers than there are classes."""
    if outputs <= int(data.labels.max()):
        raise ModelError(
            f"{name}: gives {outputs} numbers where labels go up to {data.labels.max()}; "
            "accuracy needs a file that gives logits"
        )


def top1(engine: Engine, data: Labelled, name: str = "model") -> float:
    """The share of photos whose largest output has the label's number. Raises ModelError."""
    spec, output = engine.inputs[0], engine.outputs[0]
    check_classes(output.shape[-1], data, name)
    right = 0
    for start in range(0, len(data.photos), BATCH):
        photos = data.photos[start : start + BATCH]
        batch = spec.encode((photos.astype(np.float32) - np.float32(data.mean)) / np.float32(data.std))
        values = engine.run(batch)[output.name].reshape(len(photos), -1)
        right += int((values.argmax(axis=1) == data.labels[start : start + BATCH]).sum())
    return right / len(data.photos)
