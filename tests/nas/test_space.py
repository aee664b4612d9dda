import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nas import Space, SpaceError, find_space, format_genotype, parse_genotype, spaces
from lykeion.nas.design_space.space import Choice, squeezed
from lykeion.nets import Architecture, InvertedResidual, count, layers
from tests.nas.published import PUBLISHED_SINGLE_PATH

SPACES = list(spaces().values())
of_a_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)

choices = st.one_of(st.none(), st.builds(Choice, st.integers(1, 9), st.integers(1, 9), st.booleans()))


@given(st.lists(choices, min_size=1, max_size=30).map(tuple))
def test_a_genotype_comes_back_from_text_as_it_was(genotype: tuple[Choice | None, ...]) -> None:
    assert parse_genotype(format_genotype(genotype)) == genotype


@pytest.mark.parametrize("text", ["", "k3", "k3e6x", "skip-", "k-3e6", "k3e6s-K3E6", "k03e6", "k3e6\n-k3e6"])
def test_what_is_no_genotype_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_genotype(text)
    assert "\n" not in str(caught.value)


@of_a_space
def test_every_sample_is_of_the_space_and_makes_an_architecture(space: Space) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = space.sample(rng)
        architecture = space.architecture(genotype)
        assert Architecture.from_json(json.dumps(architecture.to_json())) == architecture
        blocks = len(architecture.rows) - len(space.front) - len(space.back)
        assert blocks == sum(choice is not None for choice in genotype)


@of_a_space
def test_size_counts_the_choices_of_all_slots(space: Space) -> None:
    assert space.size == np.prod([float(len(slot.choices)) for slot in space.slots])


@of_a_space
def test_a_block_finds_the_shapes_that_its_slot_promises(space: Space) -> None:
    whole = tuple(next(choice for choice in slot.choices if choice) for slot in space.slots)
    outputs = {layer.row: layer for layer in layers(space.architecture(whole))}
    for slot in space.slots:
        before = outputs[str(slot.position + len(space.front) - 1)]
        assert (before.height, before.width, before.channels) == (slot.height, slot.width, slot.channels_in)


@of_a_space
def test_only_a_slot_that_keeps_the_shape_may_be_skipped(space: Space) -> None:
    first_of_stage = {min(s.position for s in space.slots if s.stage == slot.stage) for slot in space.slots}
    for slot in space.slots:
        assert (None in slot.choices) == (slot.position not in first_of_stage)
        if None in slot.choices:
            assert (slot.stride, slot.output) == (1, slot.channels_in)


@of_a_space
def test_a_mutation_differs_in_one_slot(space: Space) -> None:
    rng = np.random.default_rng(1)
    genotype = space.sample(rng)
    for _ in range(20):
        other = space.mutate(genotype, rng)
        space.check(other)
        assert sum(a != b for a, b in zip(genotype, other, strict=True)) == 1


def test_neighbours_are_all_networks_one_choice_away() -> None:
    space = find_space("mobilenetv3-32")
    neighbours = set(space.neighbours(space.sample(np.random.default_rng(2))))
    assert len(neighbours) == sum(len(slot.choices) - 1 for slot in space.slots)


@pytest.mark.parametrize("name", ["mobilenetv3-32", "single-path-32"])
def test_a_small_space_keeps_maps_that_a_kernel_can_look_around_in(name: str) -> None:
    last = find_space(name).slots[-1]
    assert last.height // last.stride == 4


def test_the_published_single_path_network_has_the_published_size() -> None:
    counts = count(find_space("single-path").architecture(PUBLISHED_SINGLE_PATH))
    assert counts.trainable == 4_421_616
    assert round(counts.multiply_adds / 1e6, 1) == 333.5


def test_single_path_has_neither_squeeze_and_excitation_nor_hard_swish() -> None:
    for space in (find_space("single-path"), find_space("single-path-32")):
        rows = space.architecture(PUBLISHED_SINGLE_PATH).rows
        assert {row.activation for row in rows} == {"relu"}
        assert not any(row.squeeze for row in rows if isinstance(row, InvertedResidual))


def test_a_choice_becomes_a_row() -> None:
    slot = find_space("mobilenetv3").slots[-1]
    row = slot.row(Choice(5, 6, squeeze=True))
    assert row == InvertedResidual(960, 160, 5, 1, "hard-swish", squeeze=240)


def test_squeezed_channels_are_mobilenetv3s() -> None:
    assert [squeezed(expanded) for expanded in (16, 72, 120, 480, 672, 960)] == [8, 24, 32, 120, 168, 240]


def test_what_a_slot_does_not_offer_is_an_error_that_names_it() -> None:
    space = find_space("single-path")
    genotype = (*PUBLISHED_SINGLE_PATH[:3], Choice(7, 6), *PUBLISHED_SINGLE_PATH[4:])
    with pytest.raises(SpaceError, match=r"slot 3 .* cannot be k7e6; use k3e3, k3e6, k5e3, k5e6, skip"):
        space.architecture(genotype)
    with pytest.raises(SpaceError, match="has 20 slots"):
        space.architecture(genotype[:5])


def test_an_unknown_space_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(SpaceError, match="mobilenetv3-32"):
        find_space("resnet")
