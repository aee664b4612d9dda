"""Accuracy that a network has with weights inherited from a supernet, without training of its own."""

from typing import Any

import numpy as np

from lykeion.nas import Genotype
from lykeion.nas.strategies.supernet import Supernet
from lykeion.nets import build_keras, load_keras_weights
from lykeion.nets.quiet_keras import keras
from lykeion.nets.training import Dataset, evaluate, normalise

BATCHES, BATCH = 20, 128
"""Training photos, in their order, from which batch norm's statistics are computed again."""


def inherited_accuracy(supernet: Supernet, genotype: Genotype, data: Dataset) -> float:
    """On the validation set, of a network with the supernet's weights and batch norm recalibrated."""
    model = build_keras(supernet.space.architecture(genotype))
    load_keras_weights(model, supernet.weights_of(genotype))
    places = np.arange(len(data.train))[: BATCHES * BATCH]
    batches = [normalise(data.train.read(part)) for part in np.array_split(places, max(1, len(places) // BATCH))]
    recalibrate(model, batches)
    return evaluate(model, data.validation).accuracy


def recalibrate(model: keras.Model, batches: list[np.ndarray]) -> None:
    """Set batch norm's statistics of a model to averages over batches of photos, whatever they were.

    A moving average that starts from 0 lacks momentum^steps of its weight; it is divided by the rest.
    """
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    statistics: list[tuple[Any, float]] = [
        (statistic, norm.momentum) for norm in norms for statistic in (norm.moving_mean, norm.moving_variance)
    ]
    for statistic, _ in statistics:
        statistic.assign(keras.ops.zeros_like(statistic))
    for batch in batches:
        model(batch, training=True)
    for statistic, momentum in statistics:
        statistic.assign(statistic / (1 - momentum ** len(batches)))
