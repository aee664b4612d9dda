"""Accuracy that a network has with weights inherited from a supernet, without training of its own."""

from typing import TYPE_CHECKING

import numpy as np

from lykeion.nets.training import Dataset

from .space import Genotype

if TYPE_CHECKING:
    from .strategies.supernet import Supernet

BATCHES, BATCH = 20, 128
"""What batch norm's statistics are computed from anew, of training photos in their order."""


def inherited_accuracy(supernet: "Supernet", genotype: Genotype, data: Dataset) -> float:
    """On the validation set, of a network with the supernet's weights and batch norm recalibrated."""
    from lykeion.nets import keras_model
    from lykeion.nets.training import evaluate
    from lykeion.nets.training.frame import normalise

    from .strategies.supernet import recalibrate

    model = keras_model.build(supernet.space.architecture(genotype))
    keras_model.load_weights(model, supernet.weights_of(genotype))
    places = np.arange(len(data.train))[: BATCHES * BATCH]
    batches = [normalise(data.train.read(part)) for part in np.array_split(places, max(1, len(places) // BATCH))]
    recalibrate(model, batches)
    return evaluate(model, data.validation).accuracy
