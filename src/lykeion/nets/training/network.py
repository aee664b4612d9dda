"""From an architecture and data to a file that runs on a device: what ``lykeion train`` does. Imports Keras."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import CONSOLE, Reporter, first_line, read_json
from lykeion.nets.architecture import Architecture
from lykeion.nets.keras.keras_model import build_keras, keras_weights, load_keras_weights
from lykeion.nets.keras.photo_scaling import photo_scaling
from lykeion.nets.litert_writer import write_litert
from lykeion.nets.quiet_keras import keras
from lykeion.nets.unrolling import EMBEDDING, LOGITS

from .checkpoints import ARCHITECTURE, CLASSES, WEIGHTS, load_network, write_arrays, write_file
from .dataset import Dataset
from .errors import TrainingError
from .heads import LOSSES, Cosines, nearest_proxy_accuracy
from .loop import History, TrainingOptions, evaluate, predict, train
from .recipe import Recipe
from .retrieval import Retrieval, retrieval

_MODEL, _REPORT = "model.tflite", "report.json"
_MAX_REPORT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Results of a training. Validation and test accuracy are those of the last weights; for distance heads, by the
    nearest proxy. ``retrieval`` is for distance heads, on validation photos: of the prefixes first and the whole
    embedding last; empty if no two photos share a class."""

    name: str
    history: History
    validation_accuracy: float
    test_accuracy: float | None
    retrieval: tuple[Retrieval, ...]
    model: Path

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {**plain, "model": str(self.model)}


def train_network(
    architecture: Architecture,
    data: Dataset,
    recipe: Recipe,
    run: Path,
    *,
    test: bool = False,
    reporter: Reporter = CONSOLE,
) -> TrainingReport:
    """Train an architecture from scratch, to the classes of the data, and write it to the run directory.

    Besides the files of ``train``: ``architecture.json``, ``weights.npz`` (named as the layers name them),
    ``model.tflite`` from photo to embedding with its model card ``model.json``, ``report.json``. ``test`` reads the
    test photos, once, at the end. Raises TrainingError, ArchitectureError, PhotoError.
    """
    if (architecture.height, architecture.width, architecture.channels) != _size(data):
        raise TrainingError(
            f"{architecture.name} takes {architecture.height}×{architecture.width}×{architecture.channels}, "
            f"the data is {'×'.join(map(str, _size(data)))}: load it in that size"
        )
    if test and not len(data.test):
        raise TrainingError(f"{data.name} has no test photos; leave out --test")
    architecture = replace(architecture, classes=len(data.classes))
    if long := [length for length in recipe.prefixes if length >= architecture.dimension]:
        raise TrainingError(f"prefix {long[0]} is not shorter than the embedding, which has {architecture.dimension}")
    with _precision(recipe):
        network = build_keras(
            architecture,
            output=LOGITS if recipe.head == "softmax" else EMBEDDING,
            batch_norm_momentum=recipe.norm_momentum(recipe.total_steps(len(data.train))),
            dropout=recipe.dropout,
            seed=recipe.seed % 2**32,
        )
        loss = accuracy = None
        trained = network
        if recipe.head != "softmax":
            loss, accuracy = LOSSES[recipe.head], nearest_proxy_accuracy
            head = Cosines(len(data.classes), recipe.prefixes, recipe.seed % 2**32, name="proxies")
            trained = keras.Model(network.input, head(network.output), name=network.name)
        elif recipe.teacher:
            trained = distiller(network, Path(recipe.teacher), recipe)
        history = train(
            trained,
            data,
            recipe,
            run,
            TrainingOptions(loss=loss, accuracy=accuracy, settings={"architecture": architecture.to_json()}),
            reporter=reporter,
        )
    _write(run, architecture, data, recipe, keras_weights(network))
    report = TrainingReport(
        name=architecture.name,
        history=history,
        validation_accuracy=history.epochs[-1]["val_accuracy"],
        test_accuracy=_test_accuracy(trained, data, recipe) if test else _known_test_accuracy(run),
        retrieval=_retrieval(network, data, recipe),
        model=run / _MODEL,
    )
    write_file(run / _REPORT, json.dumps(report.to_json(), indent=2).encode())
    return report


def _size(data: Dataset) -> tuple[int, int, int]:
    return data.frame.height, data.frame.width, data.frame.channels


@contextmanager
def _precision(recipe: Recipe) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def distiller(student: keras.Model, path: Path, recipe: Recipe) -> keras.Model:
    """Hinton, Vinyals, Dean (arXiv:1503.02531): α · cross-entropy + (1 − α) · T² · KL divergence at temperature T."""
    from keras.distillation import Distiller, LogitsDistillation

    # With "kl_divergence", Keras 3.15 treats the logits as probabilities.
    divergence: Any = keras.losses.KLDivergence()  # accepted although its annotation says str
    try:
        return Distiller(
            teacher=_teacher(path),
            student=student,
            distillation_losses=[LogitsDistillation(recipe.temperature, loss=divergence)],
            student_loss_weight=recipe.alpha,
            name=student.name,
        )
    except ValueError as error:
        raise TrainingError(f"teacher {path}: does not fit the network: {first_line(error)}") from None


def _teacher(path: Path) -> keras.Model:
    if path.is_dir():
        architecture, weights = load_network(path)
        if f"{LOGITS}/kernel" not in weights:
            raise TrainingError(f"teacher {path}: was trained for distances and has no logits; name a classifier")
        network = build_keras(architecture)
        load_keras_weights(network, weights)
        return network
    try:
        # Safe mode: a saved lambda is code, and is refused.
        teacher: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras passes on any exception of its layers
        raise TrainingError(f"teacher {path}: Keras cannot load it: {first_line(error)}") from None
    if getattr(teacher.layers[-1], "activation", None) is keras.activations.softmax:
        raise TrainingError(f"teacher {path}: ends in a softmax; it must give logits")
    scale, offset = photo_scaling(teacher)
    if (scale != 1).any() or offset.any():
        raise TrainingError(f"teacher {path}: rescales photos itself; it must take them as −1..1")
    return teacher


def _write(
    run: Path, architecture: Architecture, data: Dataset, recipe: Recipe, weights: dict[str, np.ndarray]
) -> None:
    source = f"trained by Lykeion on {data.name}, {data.digest}"
    card = data.frame.card(architecture.name, EMBEDDING, architecture.dimension, source)
    write_arrays(run / WEIGHTS, weights)
    for name, content in (
        (ARCHITECTURE, json.dumps(architecture.to_json(), indent=1).encode()),
        ("recipe.json", json.dumps(recipe.to_json(), indent=1).encode()),
        (CLASSES, json.dumps(data.classes, ensure_ascii=False).encode()),
        ("model.json", card.to_json().encode()),
        (_MODEL, write_litert(architecture, weights)),
    ):
        write_file(run / name, content)


def _known_test_accuracy(run: Path) -> float | None:
    """That of an earlier report on the same run, which is not lost."""
    if not (run / _REPORT).exists():
        return None
    found = read_json(run / _REPORT, TrainingError, "report of a training", limit=_MAX_REPORT_BYTES)
    accuracy = found.get("test_accuracy")
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None


def _test_accuracy(model: keras.Model, data: Dataset, recipe: Recipe) -> float:
    if recipe.head == "softmax":
        return evaluate(model, data.test).accuracy
    return float((predict(model, data.test)[:, -1].argmax(axis=1) == data.test.labels).mean())


def _retrieval(network: keras.Model, data: Dataset, recipe: Recipe) -> tuple[Retrieval, ...]:
    labels = data.validation.labels
    if recipe.head == "softmax" or np.bincount(labels).max() < 2:
        return ()
    embedding = keras.Model(network.input, network.get_layer(EMBEDDING).output)
    vectors = predict(embedding, data.validation)
    return tuple(retrieval(vectors[:, :length], labels) for length in (*recipe.prefixes, vectors.shape[1]))
