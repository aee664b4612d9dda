import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lykeion.core import SILENT, Interrupted
from lykeion.nets.training import (
    Dataset,
    History,
    Recipe,
    TrainingError,
    TrainingOptions,
    evaluate,
    load_data,
    predict,
    train,
)
from lykeion.nets.training.checkpoints import Checkpoint
from lykeion.vision import PhotoError
from tests.recorder import Recorder

from .tiny import ARCHITECTURE, SIDE, load_tiny, write_photos

keras = pytest.importorskip("keras")

SHORT = Recipe(epochs=4, batch=40, learning_rate=0.01, shift=1, dropout=0.2, ema=0.8, deterministic=True)
"""Five steps an epoch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_tiny(tmp_path_factory.mktemp("data"))


def make(dropout: float = 0.0, classes: int = 4) -> Any:
    from lykeion.nets import build_keras

    return build_keras(replace(ARCHITECTURE, classes=classes), dropout=dropout, batch_norm_momentum=0.9)


def values(model: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


def same(first: Any, second: Any) -> bool:
    return all((one == other).all() for one, other in zip(values(first), values(second), strict=True))


class Interrupt(keras.callbacks.Callback):
    """Ends the training after so many steps, as a signal would, or by one that cannot be caught."""

    def __init__(self, steps: int, *, kill: bool = False) -> None:
        super().__init__()
        self.steps, self.kill = steps, kill

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            if self.kill:
                signal.raise_signal(signal.SIGKILL)
            raise KeyboardInterrupt


def test_a_network_learns(data: Dataset, tmp_path: Path) -> None:
    model = make()
    history = train(model, data, Recipe(epochs=12, batch=20, learning_rate=0.02), tmp_path / "run", reporter=SILENT)
    found = evaluate(model, data.test)
    assert found.accuracy > 0.9
    assert found.accuracy == found.correct.mean()
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"] / 2
    assert history.epochs[-1]["val_accuracy"] == pytest.approx(evaluate(model, data.validation).accuracy)
    assert history.steps == 120
    assert history.epochs[-1]["learning_rate"] < 1e-6
    assert history.photos_per_second > 0


class Straight(NamedTuple):
    run: Path
    model: Any
    history: History
    heard: Recorder


class Latency(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["latency_ms"] = 1.5


@pytest.fixture(scope="module")
def straight(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    """What SHORT comes to when nothing interrupts it."""
    run, model, heard = tmp_path_factory.mktemp("runs") / "straight", make(SHORT.dropout), Recorder()
    history = train(model, data, SHORT, run, TrainingOptions(callbacks=[Latency()]), reporter=heard)
    return Straight(run, model, history, heard)


def test_a_run_keeps_settings_metrics_checkpoints_and_curves(data: Dataset, straight: Straight) -> None:
    run, history = straight.run, straight.history
    settings = json.loads((run / "run.json").read_text())
    assert settings["settings"]["recipe"]["seed"] == 0
    assert settings["settings"]["data"]["digest"] == data.digest
    assert settings["command"]
    assert {"keras", "numpy", "python"} <= settings["versions"].keys()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert rows == list(history.epochs)
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "last.npz").exists()


def test_who_is_handed_in_hears_of_each_photo_and_each_epoch(straight: Straight) -> None:
    [piece] = straight.heard.pieces
    assert (piece.title, piece.unit, piece.ended) == ("training", "photos", True)
    assert piece.done == piece.total == 4 * 5 * SHORT.batch
    notices = [notice.split(":")[0] for notice in straight.heard.notices]
    assert notices == [f"epoch {epoch}, step {5 * epoch} of 20" for epoch in (1, 2, 3, 4)]


def test_a_training_that_is_interrupted_within_an_epoch_keeps_the_one_before(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(
            make(SHORT.dropout),
            data,
            SHORT,
            tmp_path / "run",
            TrainingOptions(callbacks=[Interrupt(7)]),
            reporter=SILENT,
        )
    assert Checkpoint.read(tmp_path / "run" / "last.npz").step == 5


def test_a_signal_ends_a_training_after_the_epoch_and_it_resumes_to_the_same_weights(
    data: Dataset, straight: Straight, tmp_path: Path
) -> None:
    ask = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match=r"has the state after step 5 of .*; run the same command again to resume"):
        train(make(SHORT.dropout), data, SHORT, tmp_path / "run", TrainingOptions(callbacks=[ask]), reporter=SILENT)
    assert Checkpoint.read(tmp_path / "run" / "last.npz").step == 5
    model = make(SHORT.dropout)
    train(model, data, SHORT, tmp_path / "run", reporter=SILENT)
    assert same(model, straight.model)


def test_a_training_that_was_killed_goes_on_to_the_same_weights(
    data: Dataset, straight: Straight, tmp_path: Path
) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.nets.training.killed", str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    assert Checkpoint.read(tmp_path / "run" / "last.npz").step == 5
    model = make(SHORT.dropout)
    history = train(model, data, SHORT, tmp_path / "run", reporter=SILENT)
    assert same(model, straight.model)
    assert _accuracies(history) == _accuracies(straight.history)


def _accuracies(history: History) -> list[float]:
    return [row["val_accuracy"] for row in history.epochs]


def test_a_finished_training_is_not_trained_again(data: Dataset, straight: Straight) -> None:
    model, never = make(SHORT.dropout), Interrupt(1)
    train(model, data, SHORT, straight.run, TrainingOptions(callbacks=[never]), reporter=SILENT)
    assert never.steps == 1
    assert (predict(model, data.test) == predict(straight.model, data.test)).all()


def test_other_settings_are_refused_by_name(data: Dataset, straight: Straight) -> None:
    with pytest.raises(TrainingError, match=r"recipe\.batch 40, not 64"):
        train(make(), data, replace(SHORT, batch=64), straight.run, reporter=SILENT)


def test_the_checkpoint_of_another_network_is_refused(data: Dataset, straight: Straight) -> None:
    with pytest.raises(TrainingError, match=r"last\.npz: .*other variables"):
        train(make(), data, SHORT, straight.run, reporter=SILENT)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_checkpoint_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.npz"):
        Checkpoint.read(tmp_path / "last.npz")


def test_another_seed_gives_other_weights(data: Dataset, straight: Straight) -> None:
    model = make(SHORT.dropout)
    train(model, data, replace(SHORT, seed=1), reporter=SILENT)
    assert not same(model, straight.model)


def test_losses_of_layers_and_constraints_of_variables_hold(data: Dataset) -> None:
    class Priced(keras.layers.Layer):
        """A gate that costs what it is worth."""

        def build(self, input_shape: object) -> None:
            self.gate = self.add_weight(shape=(), initializer="ones", constraint="non_neg", name="gate")

        def call(self, inputs: Any) -> Any:
            self.add_loss(10 * self.gate)
            return inputs * (1 + 0 * self.gate)

    model = make()
    gate = Priced(name="priced")
    priced = keras.Model(model.input, gate(model.output))
    recipe = Recipe(steps=20, batch=20, optimizer="sgd", schedule="constant", learning_rate=0.05, warmup_steps=0)
    train(
        priced,
        data,
        recipe,
        options=TrainingOptions(multiplier=lambda variable: 4.0 if "gate" in variable.path else 0.0),
        reporter=SILENT,
    )
    assert float(gate.gate) == 0
    kernels = [variable for variable in model.trainable_variables if variable.name == "kernel"]
    assert all((one == other).all() for one, other in zip(map(np.asarray, kernels), _kernels(make), strict=True))


def _kernels(maker: Callable[[], Any]) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in maker().trainable_variables if variable.name == "kernel"]


def test_only_kernels_decay(data: Dataset) -> None:
    model = make()
    before = values(model)
    still = Recipe(
        steps=10, optimizer="sgd", schedule="constant", learning_rate=1e-5, weight_decay=1e3, warmup_steps=0
    )
    train(model, data, still, reporter=SILENT)
    for variable, old, new in zip(model.variables, before, values(model), strict=True):
        if variable.trainable and old.any():
            ratio = np.linalg.norm(new) / np.linalg.norm(old)
            assert ratio == pytest.approx(0.99**10 if len(variable.shape) > 1 else 1, rel=1e-3), variable.path


def test_averaged_weights_are_evaluated_and_left_in_the_model(data: Dataset, tmp_path: Path) -> None:
    model, averages = make(), []

    class Follow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            kernel = np.asarray(self.model.trainable_variables[0])
            averages.append(kernel if not averages else 0.8 * averages[-1] + 0.2 * kernel)

    recipe = Recipe(epochs=3, batch=40, ema=0.8)
    history = train(model, data, recipe, options=TrainingOptions(callbacks=[Follow()]), reporter=SILENT)
    assert np.allclose(np.asarray(model.trainable_variables[0]), averages[-1], atol=1e-6)
    assert history.epochs[-1]["val_accuracy"] == pytest.approx(evaluate(model, data.validation).accuracy)


def test_what_a_callback_measures_gets_into_the_history(straight: Straight) -> None:
    assert [row["latency_ms"] for row in straight.history.epochs] == [1.5] * 4


def test_a_photo_that_breaks_during_training_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.nets.training.photos.MEMORY_BYTES", 100)
    folder = write_photos(tmp_path / "photos")
    photos = load_data(folder, height=SIDE, width=SIDE, channels=1, reporter=SILENT)
    model = make(classes=2)
    train(model, photos, Recipe(epochs=1, batch=4), reporter=SILENT)
    for photo in folder.rglob("*.png"):
        photo.write_bytes(photo.read_bytes()[:50])
    with pytest.raises(PhotoError, match=r"\.png"):
        train(model, photos, Recipe(epochs=1, batch=4), reporter=SILENT)
    with pytest.raises(PhotoError, match=r"\.png"):
        predict(model, photos.validation)


def test_a_loss_that_is_no_number_ends_the_training(data: Dataset, tmp_path: Path) -> None:
    wild = Recipe(epochs=3, batch=40, learning_rate=1e3, optimizer="sgd", warmup_steps=0)

    def infinite(targets: Any, outputs: Any) -> Any:
        return keras.ops.sum(outputs, axis=1) * float("inf")

    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(make(), data, wild, tmp_path / "run", TrainingOptions(loss=infinite), reporter=SILENT)
    assert not (tmp_path / "run" / "last.npz").exists()


def test_other_recipes_learn_too(data: Dataset) -> None:
    recipe = Recipe(epochs=10, batch=20, learning_rate=0.005, mixup=0.2, label_smoothing=0.1, optimizer="rmsprop")
    assert train(make(), data, recipe, reporter=SILENT).epochs[-1]["val_accuracy"] > 0.8


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told to keep memory")
def test_a_step_works_in_the_memory_of_the_step_before(data: Dataset) -> None:
    import resource

    class Faults(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            if batch == 4:
                a_step.append((now - self.before) / 3)
            elif batch == 1:
                self.before = now

    a_step: list[float] = []
    convolutions = [keras.layers.Conv2D(256, 1, activation="relu") for _ in range(4)]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)]
    train(
        keras.Sequential([keras.Input((8, 8, 1)), *convolutions, *head]),
        data,
        Recipe(epochs=5, batch=40),
        options=TrainingOptions(callbacks=[Faults()]),
        reporter=SILENT,
    )
    pages_of_an_activation = 40 * 8 * 8 * 256 * 4 / resource.getpagesize()
    assert min(a_step) < pages_of_an_activation / 2
