import numpy as np
import pytest

from lykeion.nas import spaces
from lykeion.nas.design_space.space import Choice, Slot
from lykeion.nas.strategies.grid import Grid, bands, levels, shares
from lykeion.nas.strategies.strategy import SearchError

SLOTS = [slot for space in spaces().values() for slot in space.slots]


def test_every_choice_of_every_named_space_is_read_from_its_gates() -> None:
    for slot in SLOTS:
        grid = Grid.of(slot)
        assert [grid.choice(grid.gates_of(choice)) for choice in slot.choices] == list(slot.choices)


def test_a_gate_beyond_a_closed_one_changes_nothing() -> None:
    grid = Grid.of(slot_of(Choice(3, 3), Choice(3, 4), Choice(3, 6)))
    assert grid.gates == ("expansion 4", "expansion 6")
    assert grid.choice(np.array([0.0, 1.0])) == Choice(3, 3)


def test_shares_are_of_one_step_where_gates_are_open_or_closed() -> None:
    assert shares(levels([1.0, 0.0])) == [0.0, 1.0, 0.0]
    assert shares(levels([0.0, 1.0])) == [1.0, 0.0, 0.0]
    assert sum(shares(levels([0.3, 0.6]))) == pytest.approx(1)


def test_rings_make_up_the_kernel_and_bands_the_channels() -> None:
    rings = Grid.of(slot_of(Choice(3, 3), Choice(5, 3), Choice(7, 3))).rings()
    assert rings.shape == (3, 7, 7)
    assert rings.sum(axis=(1, 2)).tolist() == [9, 16, 24]
    assert (rings.sum(axis=0) == 1).all()
    assert bands((2, 5)).tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]


def test_choices_that_are_no_grid_are_refused_in_one_line() -> None:
    with pytest.raises(SearchError, match=r"slot 0 offers no grid.*fbnet"):
        Grid.of(slot_of(Choice(3, 3), Choice(5, 6)))
    with pytest.raises(SearchError, match="expansion 1"):
        Grid.of(slot_of(Choice(3, 1), Choice(3, 6)))


def slot_of(*choices: Choice) -> Slot:
    return Slot(0, 1, 8, 8, 16, 16, 1, "relu", choices)
