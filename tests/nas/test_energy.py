import numpy as np
import pytest

from lykeion.nas import EnergyTable, find_space, spaces
from lykeion.nas.design_space.energy_table import modelled_energy
from lykeion.nas.design_space.space import Choice
from lykeion.nets import Architecture, Convolution


@pytest.mark.parametrize("space", spaces().values(), ids=lambda space: space.name)
def test_the_energy_of_slots_and_rest_is_that_of_the_whole_network(space) -> None:
    table, rng = EnergyTable(space), np.random.default_rng(0)
    for _ in range(5):
        genotype = space.sample(rng)
        whole = modelled_energy(space.architecture(genotype)).total_uj
        assert table.total(genotype) == pytest.approx(whole)


def test_energy_of_a_network_small_enough_for_paper() -> None:
    energy = modelled_energy(Architecture("paper", 4, 4, (Convolution(2, 3, 2),), classes=5))
    multiply_adds = 4 * 9 * 3 * 2 + 2 * 5
    weights = 9 * 3 * 2 + 2 + 2 * 5 + 5
    activations = (48 + 8) + (8 + 2) + (2 + 5)
    assert energy.compute_uj == pytest.approx(multiply_adds * 4.6e-6)
    assert energy.weights_uj == pytest.approx(weights * 4 * 162.5e-6)
    assert energy.activations_uj == pytest.approx(activations * 4 * 12.5e-6)


def test_a_larger_block_takes_more_and_eight_bits_take_less() -> None:
    space = find_space("mobilenetv3-32")
    slot = space.slots[6]
    table, eight_bits = EnergyTable(space), EnergyTable(space, "int8")
    assert table.of(slot, None) == 0
    assert 0 < table.of(slot, Choice(3, 3)) < table.of(slot, Choice(5, 3)) < table.of(slot, Choice(5, 6))
    assert eight_bits.of(slot, Choice(5, 6)) < table.of(slot, Choice(5, 6)) / 3
