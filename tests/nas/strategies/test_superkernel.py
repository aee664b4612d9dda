"""Superkernels and candidate slots: each choice is exactly the block that its architecture says."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from lykeion.nas import format_choice
from lykeion.nas.design_space.space import Choice, Slot
from lykeion.nas.strategies.fbnet import Candidates
from lykeion.nas.strategies.slots import SearchableSlot
from lykeion.nas.strategies.superkernel import LIMIT, Superkernel
from lykeion.nets import Architecture
from lykeion.nets.keras import keras_model

from . import tiny

RNG = np.random.default_rng(0)
SLOTS = tiny.space().slots
KINDS = [Superkernel, Candidates]


def made(kind: type[SearchableSlot], slot: Slot) -> SearchableSlot:
    layer = kind(slot, latencies(slot), momentum=0.9, seed=1)
    layer(photos(slot), layer.mix_of(slot.choices[0]))
    return layer


def latencies(slot: Slot) -> list[float]:
    return [tiny.table().of(slot, choice) for choice in slot.choices]


def photos(slot: Slot) -> np.ndarray:
    return RNG.standard_normal((3, slot.height, slot.width, slot.channels_in), np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slot", [SLOTS[1], SLOTS[2]], ids=["three expansions, skip", "squeeze, stride"])
def test_latency_is_the_tables_for_every_choice(kind: type[SearchableSlot], slot: Slot) -> None:
    layer = kind(slot, latencies(slot), momentum=0.9, seed=0)
    for choice, usage in zip(slot.choices, latencies(slot), strict=True):
        mix = layer.mix_of(choice)
        assert layer.choice(mix) == choice
        assert float(layer.usage(mix)) == pytest.approx(usage, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slot", [SLOTS[1], SLOTS[2]], ids=["three expansions, skip", "squeeze, stride"])
def test_a_choice_computes_what_its_architecture_does(kind: type[SearchableSlot], slot: Slot) -> None:
    layer, inputs = made(kind, slot), photos(slot)
    for variable in layer.variables:  # batch norms that do something
        if variable.name in ("moving_mean", "beta", "bias"):
            variable.assign(RNG.normal(0, 0.3, variable.shape))
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(RNG.uniform(0.5, 2, variable.shape))
    for choice in slot.choices:
        if choice is None:
            np.testing.assert_array_equal(ops.convert_to_numpy(layer(inputs, layer.mix_of(None))), inputs)
            continue
        block = Architecture("block", slot.height, slot.width, (slot.row(choice),), 1, channels=slot.channels_in)
        model = keras_model.build_keras(block, output="embedding")
        keras_model.load_keras_weights(model, layer.arrays(choice))
        ours = ops.convert_to_numpy(ops.mean(layer(inputs, layer.mix_of(choice)), axis=(1, 2)))
        np.testing.assert_allclose(
            ours, ops.convert_to_numpy(model(inputs)), atol=2e-5, err_msg=format_choice(choice)
        )


def test_the_latency_of_half_open_gates_lies_between_choices() -> None:
    layer = made(Superkernel, SLOTS[1])
    least, most = min(latencies(SLOTS[1])), max(latencies(SLOTS[1]))
    assert least < float(layer.usage(np.full(4, 0.5, np.float32))) < most


def test_statistics_are_about_one_whatever_the_size_of_kernel_and_weights() -> None:
    for scale in (1e-3, 1.0, 30.0):
        layer = made(Superkernel, SLOTS[1])
        layer._kernel.assign(layer._kernel * scale)
        assert ops.convert_to_numpy(layer.margins()) == pytest.approx(1, abs=0.35)


def test_a_gate_opens_and_closes_where_its_statistic_meets_the_threshold() -> None:
    layer = made(Superkernel, SLOTS[1])
    margins = ops.convert_to_numpy(layer.margins())
    layer._thresholds.assign(margins - np.array([1e-3, -1e-3, 1e-3, -1e-3]))
    assert ops.convert_to_numpy(layer.decided()).tolist() == [1, 0, 1, 0]
    assert ops.convert_to_numpy(layer.relaxed(0.5)) == pytest.approx([1, 0, 1, 0], abs=1e-6)  # float32


def test_thresholds_keep_within_reach() -> None:
    layer = made(Superkernel, SLOTS[1])
    kept = layer._thresholds.constraint(ops.convert_to_tensor([-1.0, 0.5, 9.0, 2.0]))
    assert ops.convert_to_numpy(kept).tolist() == [0, 0.5, LIMIT, 2]


def test_the_sigmoids_gradient_reaches_thresholds_and_kernel() -> None:
    """By a step of Keras' own: latency alone raises every threshold, and shrinks the groups behind the gates."""
    layer = made(Superkernel, SLOTS[3])
    inputs = keras.Input(photos(SLOTS[3]).shape[1:])

    class Latency(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.slot = layer

        def call(self, inputs: object) -> object:
            return self.slot.usage(self.slot.relaxed(0.0)) + 0 * ops.mean(inputs)

    model = Latency()
    model(inputs)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, latency: latency)
    before = ops.convert_to_numpy(layer.margins())
    model.train_on_batch(photos(SLOTS[3]), np.zeros(3))
    assert (ops.convert_to_numpy(layer._thresholds) > 0).all()
    assert (ops.convert_to_numpy(layer.margins()) < before).all()


def test_exploring_opens_all_in_the_end_and_half_at_first() -> None:
    layer = made(Superkernel, SLOTS[1])
    assert all(ops.convert_to_numpy(layer.explored(1.0)).all() for _ in range(20))
    drawn = np.mean([ops.convert_to_numpy(layer.explored(0.0)) for _ in range(200)])
    assert 0.4 < drawn < 0.6


def test_gumbel_softmax_hardens_as_it_cools() -> None:
    layer = made(Candidates, SLOTS[1])
    for progress, most in ((0.0, 0.6), (1.0, 1.0)):
        mixes = np.array([ops.convert_to_numpy(layer.relaxed(progress)) for _ in range(100)])
        assert mixes.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert (mixes.max(axis=1).mean() > 0.9) == (most == 1.0)


def test_a_slot_of_one_choice_has_no_gates() -> None:
    slot = replace(SLOTS[0], choices=(Choice(3, 2),))
    layer = made(Superkernel, slot)
    assert layer.watched() == {}
    assert layer.choice(ops.convert_to_numpy(layer.decided())) == Choice(3, 2)
