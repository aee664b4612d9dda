"""How often a model file is right about labelled photos on an engine, and how closely two engines agree."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from lykeion.core import LykeionError
from lykeion.engines.running import Engine, Kind, TensorSpec, try_model
from lykeion.litert import ModelError

BATCH = 32
COMPARED_PHOTOS = 32


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


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over a batch: the largest difference of two outputs, as a share of the largest output; the least cosine of two
    vectors; the share of photos with the same largest output."""

    max_error: float
    cosine: float
    top1: float


def agreement(engine: Engine, reference: Engine, real: np.ndarray) -> Agreement:
    """Of the first outputs, on a batch (n, height, width, channels) of real numbers. Raises ModelError, also where
    either gives numbers that are not finite."""
    found, expected = (_vectors(each, real) for each in (engine, reference))
    for who, vectors in (("it gives", found), ("the reference gives", expected)):
        if not np.isfinite(vectors).all():
            raise ModelError(f"{who} numbers that are not finite")
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = np.divide((found * expected).sum(axis=1), norms, out=np.ones_like(norms), where=norms > 0)
    largest = float(np.abs(expected).max())
    return Agreement(
        float(np.abs(found - expected).max()) / largest if largest else 0.0,
        float(cosines.min()),
        float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
    )


def compare_engines(
    content: bytes, kinds: Iterable[Kind], reference: Kind, *, name: str = "model"
) -> dict[str, Agreement | str]:
    """By engine, how closely it agrees with the reference on ``COMPARED_PHOTOS`` photos of noise, or why it cannot
    run the model. Raises ModelError, Unsupported where the reference cannot."""
    try_model(content, name, kind=reference.name)
    expected = reference.load(content, name=name)
    real = random_batch(expected.inputs[0], COMPARED_PHOTOS)
    found: dict[str, Agreement | str] = {}
    for kind in kinds:
        if kind.name == reference.name:
            continue
        try:
            try_model(content, name, kind=kind.name)
            with closing(kind.load(content, name=name)) as engine:
                found[kind.name] = agreement(engine, expected, real)
        except LykeionError as error:
            found[kind.name] = str(error)
    return found


def random_batch(spec: TensorSpec, size: int = 1) -> np.ndarray:
    """Real numbers as normalised photos have them, −1 to 1, the same ones each time; open sizes are 1."""
    shape = (size, *(max(side, 1) for side in spec.shape[1:]))
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 127.5 - 1


def _vectors(engine: Engine, real: np.ndarray) -> np.ndarray:
    values = first_output(engine, engine.inputs[0].encode(real))
    return engine.outputs[0].decode(values).reshape(len(real), -1).astype(np.float64)
