"""The training loop: Keras' ``fit`` with a reproducible order and checkpoints. Imports Keras."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import CONSOLE, Progress, Reporter, retain_memory, stop_here, stop_signals, working_in
from lykeion.nets.quiet_keras import keras

from .batches import Failed, InOrder, training_batches
from .checkpoints import Checkpoint
from .dataset import Dataset
from .errors import TrainingError
from .optimizers import Multiplier, averaged_weights, make_optimizer
from .photos import Photos
from .recipe import Recipe
from .run import Run, draw_curves
from .variables import assign, values_of


@dataclass(frozen=True, slots=True)
class History:
    """``epochs`` has a row per epoch: epoch, step, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds.

    ``seconds`` are those of training and validation, including earlier processes.
    """

    epochs: tuple[Mapping[str, Any], ...]
    steps: int
    seconds: float
    photos_per_second: float


@dataclass(frozen=True, slots=True, eq=False)
class NetworkEvaluation:
    """``correct`` is bool (photos,), in the order of the photos: for paired comparisons."""

    accuracy: float
    loss: float
    correct: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Options of a custom training beside the recipe.

    ``loss`` and ``accuracy`` are functions of (targets, output), by default cross-entropy and the share of correct
    answers; targets are distributions over classes. ``multiplier`` gives a variable's learning rate as a factor of
    the recipe's; 0 freezes the variable. ``callbacks`` run before the state is saved: state that they keep between
    steps must be in a variable of the model, which is saved; what they add to an epoch's logs is added to the
    history. ``settings`` must be equal, besides recipe and data, for a training to resume.
    """

    loss: Any = None
    accuracy: Callable[[Any, Any], Any] | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    multiplier: Multiplier = lambda variable: 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


def train(
    model: keras.Model,
    data: Dataset,
    recipe: Recipe,
    run: Path | None = None,
    options: TrainingOptions = TrainingOptions(),
    *,
    reporter: Reporter = CONSOLE,
) -> History:
    """Train a model from photos to logits in place; it ends with its last weights, averaged if the recipe says so.

    Any Keras model works, with losses added by layers and constraints of variables. With ``run``, that directory has
    recipe, checkpoints, metrics and curves, and a killed training resumes from its last epoch. Raises TrainingError,
    PhotoError.
    """
    with working_in(run, TrainingError) if run else nullcontext():
        return _train(model, data, recipe, run, options, reporter)


def _train(
    model: keras.Model,
    data: Dataset,
    recipe: Recipe,
    run: Path | None,
    options: TrainingOptions,
    reporter: Reporter,
) -> History:
    keras.utils.set_random_seed(recipe.seed % 2**32)
    if recipe.deterministic:
        _be_deterministic()
    total = recipe.total_steps(len(data.train))
    optimizer = make_optimizer(recipe, total, model.trainable_variables, options.multiplier)
    model.compile(
        optimizer,
        options.loss
        or keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=[
            keras.metrics.MeanMetricWrapper(options.accuracy or keras.metrics.categorical_accuracy, name="accuracy")
        ],
    )
    state = _State(model, optimizer)
    directory = run and Run(
        run,
        {
            "recipe": recipe.to_json(),
            "data": {"digest": data.digest, "height": data.frame.height, "width": data.frame.width}
            | {"channels": data.frame.channels, "fit": data.frame.fit},
            "backend": keras.backend.backend(),
            **options.settings,
        },
    )
    before = directory.checkpoint() if directory else None
    if directory and before:
        try:
            assign(state.variables, before.values)
        except ValueError as error:
            raise TrainingError(f"{directory.last}: {error}; give another --run") from None
    period = min(total, recipe.steps_per_epoch(len(data.train)))
    keeper = _Keeper(state, recipe, directory, before, total, reporter)
    if keeper.step < total:
        failed, classes = Failed(), len(data.classes)
        with (
            stop_signals() if directory else nullcontext(),
            failed.instead(),
            reporter.progress("training", (total - keeper.step) * recipe.batch, unit="photos") as keeper.progress,
            training_batches(data.train, classes, recipe, keeper.step, total, failed) as batches,
        ):
            model.fit(
                batches,
                shuffle=False,
                steps_per_epoch=period,
                initial_epoch=keeper.step // period,
                epochs=math.ceil(total / period),
                validation_data=InOrder(data.validation, classes, recipe.batch, failed),
                callbacks=[*options.callbacks, keeper],
                verbose=0,  # pyright: ignore[reportArgumentType]
            )
    elif recipe.ema:
        optimizer.finalize_variable_values(model.trainable_variables)
    if directory:
        draw_curves(keeper.history, directory.path / "curves.png", str(model.name))
    seconds = sum(row["seconds"] for row in keeper.history)
    rate = recipe.batch * total / sum(row["seconds_training"] for row in keeper.history)
    return History(tuple(keeper.history), total, seconds, rate)


def predict(model: keras.Model, photos: Photos, *, batch: int = 256) -> np.ndarray:
    """The model's outputs, float32 (photos, …), in order. Raises PhotoError."""
    failed = Failed()
    with failed.instead():
        outputs = model.predict(InOrder(photos, 1 + int(photos.labels.max()), batch, failed), verbose=0)  # pyright: ignore
    return np.asarray(outputs, np.float32)


def evaluate(model: keras.Model, photos: Photos, *, batch: int = 256) -> NetworkEvaluation:
    """Accuracy and cross-entropy of a model that gives logits. Raises PhotoError."""
    logits = predict(model, photos, batch=batch).astype(np.float64)
    correct = logits.argmax(axis=1) == photos.labels
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), photos.labels]
    return NetworkEvaluation(float(correct.mean()), float(losses.mean()), correct)


class _State:
    """Everything that changes during training; a teacher does not, and is excluded."""

    def __init__(self, model: Any, optimizer: Any) -> None:
        self.trained, self.optimizer = model, optimizer
        teacher = getattr(model, "teacher", None)
        fixed = {id(variable) for variable in teacher.variables} if teacher else set()
        trained = [variable for variable in model.variables if id(variable) not in fixed]
        self.variables = [*trained, *optimizer.variables]


class _Keeper(keras.callbacks.Callback):
    """Counts steps, reports, keeps history and checkpoints, and stops after the last step."""

    progress: Progress

    def __init__(
        self,
        state: _State,
        recipe: Recipe,
        run: Run | None,
        before: Checkpoint | None,
        total: int,
        reporter: Reporter,
    ) -> None:
        super().__init__()
        self.step = before.step if before else 0
        self.history: list[Mapping[str, Any]] = list(before.history) if before else []
        self._state, self._recipe, self._run, self._total, self._reporter = state, recipe, run, total, reporter
        self._started = self._trained = 0.0
        self._validating: Any = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 0:  # TensorFlow makes glibc return memory whenever a dataset begins that a generator fills
            retain_memory()
        self.step += 1
        self.progress.advance(self._recipe.batch)
        if self.step == self._total:
            self._state.trained.stop_training = True

    def on_test_begin(self, logs: Any = None) -> None:
        self._trained = time.perf_counter()
        self._validating = averaged_weights(self._state.optimizer)
        self._validating.__enter__()

    def on_test_end(self, logs: Any = None) -> None:
        self._validating.__exit__(None, None, None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        measured = {name: float(value) for name, value in (logs or {}).items()}
        if bad := [name for name, value in measured.items() if not math.isfinite(value)]:
            raise TrainingError(f"epoch {epoch + 1}: {bad[0]} is no longer finite; lower the learning rate")
        now = time.perf_counter()
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            **measured,
            "learning_rate": float(values_of([self._state.optimizer.learning_rate])[0]),
            "seconds": round(now - self._started, 3),
            "seconds_training": round(self._trained - self._started, 3),
        }
        self.history.append(row)
        self._reporter.notice(
            f"epoch {row['epoch']}, step {row['step']:,} of {self._total:,}: loss {row['loss']:.4f}, "
            f"accuracy {row['accuracy']:.4f}, validation {row['val_accuracy']:.4f}"
        )
        if self._run:
            self._run.keep(Checkpoint(self.step, tuple(self.history), tuple(values_of(self._state.variables))))
            if self.step < self._total:
                stop_here(f"{self._run.path} has the state after step {self.step:,} of {self._total:,}")


def _be_deterministic() -> None:
    """JAX always is."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
