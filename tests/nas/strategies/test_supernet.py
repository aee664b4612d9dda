"""Supernets: what is decided is an architecture, latency is the table's, and the price does what it is for."""

from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from benchmarks.measuring.inheritance import inherited_accuracy, recalibrate
from lykeion.core import SILENT
from lykeion.nas import Genotype, LatencyTable, SpaceError
from lykeion.nas.design_space.space import Choice
from lykeion.nas.strategies.fbnet import Candidates
from lykeion.nas.strategies.superkernel import Superkernel
from lykeion.nas.strategies.supernet import MakeSlot, Price, Supernet
from lykeion.nets import layers
from lykeion.nets.keras import keras_model
from lykeion.nets.training import Dataset, TrainingOptions, train

from . import tiny

SPACE, TABLE = tiny.space(), tiny.table()
HALF = replace(SPACE, slots=SPACE.slots[:2])
"""What is trained: one half of the tracing, and of the steps."""
OF_HALF = LatencyTable(HALF, TABLE.profile)
LARGEST: Genotype = (Choice(5, 4), Choice(5, 4), Choice(5, 4, True), Choice(5, 4, True))
SMALLEST: Genotype = (Choice(3, 2), None, Choice(3, 2), None)
GENOTYPES = [LARGEST, SMALLEST, (Choice(3, 3), Choice(5, 2), Choice(3, 4, True), Choice(5, 2))]
RATE = 2e-2
FREE = Price(fixed=0.0)
KINDS = [Superkernel, Candidates]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny.data(tmp_path_factory.mktemp("data"))


def supernet(kind: MakeSlot, price: Price = FREE, steps: int = 300, *, table: LatencyTable = TABLE) -> Supernet:
    return Supernet(table.space, table, kind, price, steps, decision_rate=RATE, momentum=0.9, seed=0)


def trained(data: Dataset, price: Price, steps: int) -> Supernet:
    model = supernet(Superkernel, price, steps, table=OF_HALF)
    recipe = tiny.recipe(steps=steps, learning_rate=2e-3, schedule="constant")
    train(
        model,
        data,
        recipe,
        options=TrainingOptions(multiplier=lambda variable: RATE / 2e-3 if variable.name == "thresholds" else 1.0),
        reporter=SILENT,
    )
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_genotypes_weights_make_the_network_that_the_supernet_computes(kind: MakeSlot) -> None:
    model = supernet(kind)
    photos = np.random.default_rng(0).uniform(-1, 1, (4, 12, 12, 3)).astype(np.float32)
    for genotype in GENOTYPES:
        architecture = SPACE.architecture(genotype)
        weights = model.weights_of(genotype)
        shapes = {name: shape for layer in layers(architecture) for name, shape in layer.weights().items()}
        assert {name: value.shape for name, value in weights.items()} == shapes
        alone = keras_model.build_keras(architecture)
        keras_model.load_keras_weights(alone, weights)
        model.hold(genotype)
        np.testing.assert_allclose(
            ops.convert_to_numpy(model(photos)), ops.convert_to_numpy(alone(photos)), atol=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_supernets_latency_is_the_tables_for_any_network(kind: MakeSlot) -> None:
    model = supernet(kind)
    for genotype in GENOTYPES:
        model.hold(genotype)
        assert model.genotype() == genotype
        assert model.usage() == pytest.approx(TABLE.total(genotype), rel=1e-6)


@pytest.fixture(scope="module")
def free(data: Dataset) -> Supernet:
    return trained(data, FREE, 100)


def test_latency_that_costs_nothing_closes_no_gate(free: Supernet) -> None:
    assert free.genotype() == LARGEST[:2]


def test_latency_that_costs_much_closes_every_gate(data: Dataset) -> None:
    assert trained(data, Price(fixed=100.0), 80).genotype() == SMALLEST[:2]


def test_a_target_is_met_and_used(data: Dataset) -> None:
    target = sum(OF_HALF.extremes()) / 2
    model = trained(data, Price(target), 150)
    assert 0.7 * target <= OF_HALF.total(model.genotype()) <= target
    assert model.state()["settled"] == 1


def test_a_target_that_no_network_meets_is_refused_with_the_fastest() -> None:
    with pytest.raises(SpaceError, match=r"no network of space 'tiny' takes 0.5 ms by nowhere; the least is 1"):
        supernet(Superkernel, Price(0.5))


def test_recalibrated_statistics_are_those_of_the_photos() -> None:
    model = keras_model.build_keras(SPACE.architecture(SMALLEST), batch_norm_momentum=0.9)
    photos = np.random.default_rng(0).uniform(-1, 1, (40, 12, 12, 3)).astype(np.float32)
    recalibrate(model, [photos] * 3)
    expected = ops.convert_to_numpy(model(photos, training=True))
    recalibrate(model, [photos] * 3)
    np.testing.assert_allclose(ops.convert_to_numpy(model(photos)), expected, rtol=0.02, atol=0.02)


def test_inherited_accuracy_needs_no_training_of_the_network(free: Supernet, data: Dataset) -> None:
    assert inherited_accuracy(free, LARGEST[:2], data) > 0.6  # of three classes
