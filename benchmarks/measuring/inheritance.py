"""Accuracy that a network has with weights inherited from a supernet, without training of its own."""

import numpy as np

from lykeion.nas import Genotype
from lykeion.nas.strategies.supernet import Supernet, recalibrate
from lykeion.nets import build_keras, load_keras_weights
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
