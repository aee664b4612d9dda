"""How often a model file is right about labelled photos, on a given engine."""

from dataclasses import dataclass

import numpy as np

from .protocol import Engine, ModelError, TensorSpec

BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Photos, uint8 (n, height, width, channels) in the size of the network, and labels, int (n,).

    ``mean`` and ``std`` are what the network was trained with, for all channels or each: (pixel − mean) / std;
    ``classes`` how many there are, where that is known.
    """

    photos: np.ndarray
    labels: np.ndarray
    mean: float | tuple[float, ...] = 127.5
    std: float | tuple[float, ...] = 127.5
    classes: int | None = None


def check_fits(given: TensorSpec, made: TensorSpec, data: Labelled, name: str = "model") -> None:
    """Raises ModelError where a model is for photos of another shape, or does not give a number for each class."""
    photo, outputs = given.shape[1:], made.shape[-1]
    if photo != data.photos.shape[1:]:
        sizes = ["×".join(map(str, shape)) for shape in (photo, data.photos.shape[1:])]
        raise ModelError(f"{name}: is for photos of {sizes[0]}, not {sizes[1]}; measure its accuracy on its own")
    if data.classes is not None and outputs != data.classes:
        raise ModelError(
            f"{name}: gives {outputs} numbers for {data.classes} classes; accuracy needs logits: name the run's "
            "directory, or leave out --data"
        )
    if outputs <= int(data.labels.max()):
        raise ModelError(
            f"{name}: gives {outputs} numbers where labels go up to {data.labels.max()}; "
            "accuracy needs a file that gives logits"
        )


def top1(engine: Engine, data: Labelled, name: str = "model") -> float:
    """The share of photos whose largest output has the label's number. Raises ModelError."""
    spec, output = engine.inputs[0], engine.outputs[0]
    check_fits(spec, output, data, name)
    right, mean, std = 0, np.asarray(data.mean, np.float32), np.asarray(data.std, np.float32)
    for start in range(0, len(data.photos), BATCH):
        batch = spec.encode((data.photos[start : start + BATCH].astype(np.float32) - mean) / std)
        values = first_output(engine, batch).reshape(len(batch), -1)
        right += int((values.argmax(axis=1) == data.labels[start : start + BATCH]).sum())
    return right / len(data.photos)


def first_output(engine: Engine, batch: np.ndarray) -> np.ndarray:
    """For a batch (n, …) of the first input's dtype, one by one where the network takes no more at once, as one with
    a constant shape inside. Raises ModelError."""
    name = engine.outputs[0].name
    try:
        return engine.run(batch)[name]
    except ModelError:
        if len(batch) == 1:
            raise
        return np.concatenate([engine.run(batch[place : place + 1])[name] for place in range(len(batch))])
