"""Accuracy of a model file on labelled photos on an engine, and how closely two engines agree."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lykeion.core import LykeionError
from lykeion.engines.running import Engine, Kind, TensorSpec, encoded, find_kind, noise, to_onnx, try_model
from lykeion.litert import ModelError

BATCH = 32
COMPARED_PHOTOS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Photos, uint8 (n, height, width, channels) in the size of the network, and labels, int (n,).

    ``mean`` and ``std`` are those of the network's training, for all channels or for each: (pixel − mean) / std;
    ``classes`` is the number of classes, if known.
    """

    photos: np.ndarray
    labels: np.ndarray
    mean: float | tuple[float, ...] = 127.5
    std: float | tuple[float, ...] = 127.5
    classes: int | None = None

    @property
    def at_once(self) -> int:
        """How many photos are evaluated at once, if an engine accepts that many."""
        return min(BATCH, len(self.labels))


def check_fits(inputs: Sequence[TensorSpec], made: TensorSpec, data: Labelled, name: str = "model") -> None:
    """Raises ModelError if a model is for photos of another shape, has inputs other than photos, or does not output
    one number per class."""
    if len(inputs) != 1:
        raise ModelError(f"{name}: takes {len(inputs)} inputs, and --data has photos alone")
    photo, outputs = inputs[0].shape[1:], made.shape[-1]
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


def top1(engine: Engine, data: Labelled, name: str = "model", at_once: int = 1) -> float:
    """The share of photos whose largest output is at the label's index, run ``at_once`` at a time. Raises
    ModelError."""
    check_fits(engine.inputs, engine.outputs[0], data, name)
    spec = engine.inputs[0]
    right, mean, std = 0, np.asarray(data.mean, np.float32), np.asarray(data.std, np.float32)
    for start in range(0, len(data.photos), BATCH):
        batch = spec.encode((data.photos[start : start + BATCH].astype(np.float32) - mean) / std)
        values = first_output(engine, [batch], at_once).reshape(len(batch), -1)
        right += int((values.argmax(axis=1) == data.labels[start : start + BATCH]).sum())
    return right / len(data.photos)


def first_output(engine: Engine, values: Sequence[np.ndarray], at_once: int = 1) -> np.ndarray:
    """The first output for a batch (n, …) of each input, run ``at_once`` at a time and the remainder one by one: an
    engine may crash on a batch size that was not tried. Raises ModelError."""
    name, count = engine.outputs[0].name, len(values[0])
    whole = count - count % at_once
    cuts = [*range(0, whole, at_once), *range(whole, count + 1)]

    def part(begin: int, end: int) -> list[np.ndarray]:
        return [
            each[begin:end] if spec.shape[:1] == (-1,) else each
            for spec, each in zip(engine.inputs, values, strict=True)
        ]

    return np.concatenate([engine.run(*part(begin, end))[name] for begin, end in pairwise(cuts)])


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over a batch: the largest difference of two outputs, as a share of the largest output; the smallest cosine of
    two vectors; the share of photos with the same largest output."""

    max_error: float
    cosine: float
    top1: float


def agreement(found: np.ndarray, expected: np.ndarray) -> Agreement:
    """Agreement of the outputs of an engine and the reference for the same photos, (n, …), real numbers. Raises
    ModelError if either contains numbers that are not finite."""
    found, expected = (each.reshape(len(each), -1).astype(np.float64) for each in (found, expected))
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
    run the model. Raises ModelError, Unsupported if the reference cannot run it."""
    expected = _answers(content, reference, name)
    found: dict[str, Agreement | str] = {}
    for kind in kinds:
        if kind.name == reference.name:
            continue
        try:
            found[kind.name] = agreement(_answers(content, kind, name), expected)
        except LykeionError as error:
            found[kind.name] = str(error)
    return found


def checked_onnx(content: bytes, name: str = "model") -> tuple[bytes, Agreement]:
    """The ONNX file of a ``.tflite`` file, after a run on ONNX Runtime, and how closely it agrees with LiteRT's
    built-in kernels. Raises ModelError, Unsupported, also if ONNX Runtime does not run it."""
    runtime, reference = find_kind("onnxruntime"), find_kind("litert-builtin")
    found = agreement(_answers(content, runtime, name), _answers(content, reference, name))
    return to_onnx(content, name), found


def _answers(content: bytes, kind: Kind, name: str) -> np.ndarray:
    """Outputs for ``COMPARED_PHOTOS`` photos of noise, as real numbers; tried in a separate process first."""
    first = try_model(content, name, kind=kind.name, at_once=COMPARED_PHOTOS)
    with closing(kind.load(content, name=name)) as engine:
        return answers(engine, noise(engine.inputs, COMPARED_PHOTOS), first.at_once)


def answers(engine: Engine, real: Sequence[np.ndarray], at_once: int = 1) -> np.ndarray:
    """The first output, as real numbers, for real numbers for each input. Raises ModelError."""
    return engine.outputs[0].decode(first_output(engine, encoded(engine.inputs, real), at_once))
