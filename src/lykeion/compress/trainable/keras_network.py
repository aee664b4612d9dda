"""Conversion of a compressed network to a Keras model for further training, and back. Imports Keras."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.compress.compressed_model import CompressedModel
from lykeion.compress.errors import CompressionError
from lykeion.compress.settings import check_training, digest_of_input
from lykeion.compress.weights.codebooks import Moving
from lykeion.compress.weights.integers import LEAST_GAIN
from lykeion.core import CONSOLE, Reporter, digest_json
from lykeion.nets import INPUT, LOGITS, TO_255, Layer, layers
from lykeion.nets.quiet_keras import keras
from lykeion.nets.training import Dataset, History, Photos, Recipe, TrainingOptions, distiller, normalise, train

from .simulated_operators import AtLeast, HardSwish, Range, SimulatedOperator, Sum, Unit, keras_name

PHOTO_RANGE = (-1.01, 1.01)
"""Photos are in −1..1; the range is a little wider, since otherwise every pixel would be halfway between two
integers."""
RELU6_RANGE = (0.0, 6.0)
_NORM = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}


def build(
    model: CompressedModel,
    *,
    batch_norm_momentum: float = 0.99,
    dropout: float = 0.0,
    seed: int = 0,
    moving: Mapping[str, Moving] | None = None,
) -> keras.Model:
    """A Keras model from photos, float32 (n, height, width, channels), −1..1, to logits, with the model's weights.

    Training preserves what the model must keep (zeros, shared weights, int8); ``moving`` has the layers whose weights
    may change their value. Raises CompressionError.
    """
    model.check_trainable()
    return _NetworkBuilder(model, batch_norm_momentum, dropout, seed, moving).network()


def read_back(network: keras.Model, model: CompressedModel) -> CompressedModel:
    """The model with the weights and ranges of a trained network from ``build``."""
    weights, ranges = dict(model.weights), {}
    for layer in network.layers:
        if isinstance(layer, SimulatedOperator):
            weights |= {f"{layer.layer.name}/{name}": value for name, value in layer.trained().items()}
        elif isinstance(layer, Range):
            ranges[layer.tensor] = layer.trained()
        elif isinstance(layer, keras.layers.BatchNormalization):
            name = layer.name.removesuffix("_norm").replace("_", "/")
            for variable in layer.weights:
                weights[f"{name}/{_NORM[variable.name]}"] = np.asarray(variable, np.float32)
    wanted = None if model.ranges is None else {name: pair for name, pair in ranges.items() if name in model.ranges}
    return replace(model, weights=weights, ranges=wanted)


def fit(
    model: CompressedModel,
    data: Dataset,
    recipe: Recipe,
    run: Path | None,
    *,
    callbacks: Any = lambda network: (),
    settings: Mapping[str, Any] | None = None,
    moving: Mapping[str, Moving] | None = None,
    reporter: Reporter = CONSOLE,
) -> tuple[CompressedModel, History]:
    """Train from the model's weights, preserving what the model must keep. The recipe may name a teacher.

    ``callbacks`` returns the callbacks for the network. Resumes from ``run``. Raises TrainingError, CompressionError.
    """
    check_data(model, data)
    check_backend()
    check_training(recipe)
    network = build(
        model,
        batch_norm_momentum=recipe.norm_momentum(recipe.total_steps(len(data.train))),
        dropout=recipe.dropout,
        seed=recipe.seed % 2**32,
        moving=moving,
    )
    trained = distiller(network, Path(recipe.teacher), recipe) if recipe.teacher else network
    begun = {"model": digest_of(model), **(settings or {})}
    if recipe.teacher:
        begun["teacher"] = digest_of_input(Path(recipe.teacher))
    history = train(
        trained, data, recipe, run, TrainingOptions(callbacks=callbacks(network), settings=begun), reporter=reporter
    )
    return read_back(network, model), history


def check_backend() -> None:
    """Raises CompressionError if Keras uses another backend than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise CompressionError(
            f"compression trains on TensorFlow, not on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow"
        )


def check_data(model: CompressedModel, data: Dataset) -> None:
    """Raises CompressionError if the network is for other photos or classes."""
    ours = model.architecture
    wanted = (ours.height, ours.width, ours.channels)
    theirs = (data.frame.height, data.frame.width, data.frame.channels)
    if theirs != wanted or len(data.classes) != ours.classes:
        raise CompressionError(
            f"{data.name}: photos of {'×'.join(map(str, theirs))} in {len(data.classes)} classes; "
            f"{ours.name} is for {'×'.join(map(str, wanted))} in {ours.classes}"
        )


def observe(model: CompressedModel, photos: Photos) -> dict[str, tuple[float, float]]:
    """Ranges of the activations on photos, computed in float32: the extremes of the batches, averaged."""
    builder = _NetworkBuilder(replace(model, ranges=None), 0.99, 0.0, 0)
    source = builder.network().input
    names = list(builder.activations)
    extremes = [find(builder.activations[name]) for find in (keras.ops.min, keras.ops.max) for name in names]
    probe = keras.Model(source, extremes)
    batches = np.array_split(np.arange(len(photos)), max(1, len(photos) // 32))
    found = [[float(value) for value in probe(normalise(photos.read(each)), training=False)] for each in batches]
    lows, highs = np.split(np.mean(found, axis=0), 2)
    ranges = {
        name: (min(float(low), 0.0), max(float(high), 1e-3))
        for name, low, high in zip(names, lows, highs, strict=True)
    }
    return {INPUT: PHOTO_RANGE, **ranges}


def digest_of(model: CompressedModel) -> str:
    """Digest of everything that training starts from."""
    import hashlib

    weights = hashlib.sha256()
    for name in sorted(model.weights):
        weights.update(name.encode() + np.ascontiguousarray(model.weights[name], "<f4").tobytes())
    return digest_json(
        {
            "architecture": model.architecture.to_json(),
            "weights": weights.hexdigest(),
            "sparse": sorted(model.sparse),
            "clustered": sorted(model.clustered),
            "ranges": None if model.ranges is None else {name: list(pair) for name, pair in model.ranges.items()},
        }
    )


class _NetworkBuilder:
    """Builds a network layer by layer. ``activations`` are the tensors that need a range for int8."""

    def __init__(
        self,
        model: CompressedModel,
        momentum: float,
        dropout: float,
        seed: int,
        moving: Mapping[str, Moving] | None = None,
    ) -> None:
        self.model, self.activations, self._moving = model, {}, moving or {}
        self._ranges: dict[str, Range] = {}
        self._momentum, self._dropout, self._seed = momentum, dropout, seed

    def network(self) -> keras.Model:
        architecture = self.model.architecture
        image = keras.Input((architecture.height, architecture.width, architecture.channels), name=INPUT)
        tensors: dict[str, Any] = {INPUT: image}
        if self.model.ranges is not None:
            tensors[INPUT] = self._rounded(INPUT, image, fixed=True)
        for layer in layers(architecture):
            inputs = [tensors[name] for name in layer.inputs]
            if layer.name == LOGITS and self._dropout:
                inputs = [keras.layers.Dropout(self._dropout, seed=self._seed, name="dropout")(inputs[0])]
            tensors[layer.name] = self._activated(layer, *self._linear(layer, inputs))
        name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in architecture.name)
        return keras.Model(image, tensors[LOGITS], name=name or "network")

    def _linear(self, layer: Layer, inputs: list[Any]) -> tuple[Any, Unit | None]:
        """The output before the activation; and, in int8, the unit of the integer sums."""
        name, source = keras_name(layer), self._ranges.get(layer.inputs[0])
        match layer.kind:
            case "add" if self.model.ranges is not None:
                sources = [self._ranges[each] for each in layer.inputs]
                return Sum(layer, sources, self._range(layer.name))(inputs), None
            case "add":
                return keras.layers.Add(name=name)(inputs), None
            case "multiply":
                made = keras.layers.Multiply(name=name)(inputs)  # the gate is in 255ths
                return made, (lambda: source.scale() * TO_255) if source else None
            case "pool":
                share = 1 / (inputs[0].shape[1] * inputs[0].shape[2])
                made = keras.layers.GlobalAveragePooling2D(keepdims=not layer.vector, name=name)(inputs[0])
                return made, (lambda: source.scale() * share) if source else None
        operator = SimulatedOperator(layer, self.model, source, self._moving.get(layer.name))
        made = operator(inputs[0])
        if self.model.ranges is not None:
            return made, operator.unit
        if layer.kind == "dense":
            return made, None
        norm = keras.layers.BatchNormalization(
            epsilon=self.model.architecture.epsilon,
            momentum=self._momentum,
            gamma_constraint=AtLeast(LEAST_GAIN) if layer.name in self.model.clustered else None,
            name=f"{name}_norm",
        )
        made = norm(made)
        norm.set_weights([self.model.weights[f"{layer.name}/{weight}"] for weight in _NORM.values()])
        return made, None

    def _activated(self, layer: Layer, made: Any, unit: Unit | None) -> Any:
        name = f"{keras_name(layer)}_activation"
        match layer.activation:
            case "linear":
                return self._ranged(layer.name, made, unit)
            case "hard-swish" if self.model.ranges is not None:
                made = self._ranged(f"{layer.name}/linear", made, unit)
                swish = HardSwish(self._ranges[f"{layer.name}/linear"], self._range(layer.name), name=name)
                return self._ranged(layer.name, swish(made))
            case "hard-swish":
                self._ranged(f"{layer.name}/linear", made)
                return self._ranged(layer.name, keras.layers.Activation("hard_swish", name=name)(made))
            case "hard-sigmoid" if self.model.ranges is not None:
                made = Range(f"{layer.name}/relu6", *RELU6_RANGE, fixed=True, unit=unit)(keras.ops.relu6(made))
                return made / 6.0
            case "hard-sigmoid":
                return keras.layers.Activation("hard_sigmoid", name=name)(made)
            case activation:
                return self._ranged(layer.name, keras.layers.Activation(activation, name=name)(made), unit)

    def _ranged(self, name: str, made: Any, unit: Unit | None = None) -> Any:
        self.activations[name] = made
        return made if self.model.ranges is None else self._rounded(name, made, unit=unit)

    def _rounded(self, name: str, made: Any, *, fixed: bool = False, unit: Unit | None = None) -> Any:
        return self._range(name, fixed=fixed, unit=unit)(made)

    def _range(self, name: str, *, fixed: bool = False, unit: Unit | None = None) -> Range:
        assert self.model.ranges is not None, "only a network in int8 rounds"
        if name not in self._ranges:
            self._ranges[name] = Range(name, *self.model.ranges[name], fixed=fixed, unit=unit)
        return self._ranges[name]
