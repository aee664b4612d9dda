import pytest

from lykeion.nas import BASELINES, find_space
from lykeion.nas.runs.baselines import adapt, baselines
from lykeion.nets import InvertedResidual, find, layers


def test_at_224_a_published_network_keeps_its_blocks_and_strides() -> None:
    published = find("mobilenet-v3-large")
    assert adapt(published, find_space("mobilenetv3")).rows == published.rows
    strides = [row.stride for row in adapt(find("mobilenet-v2"), find_space("mobilenetv3")).rows]
    assert strides == [row.stride for row in find("mobilenet-v2").rows]


@pytest.mark.parametrize("name", BASELINES)
def test_at_32_a_baseline_has_the_spaces_stem_head_and_last_maps(name: str) -> None:
    space = find_space("mobilenetv3-32")
    (network,) = baselines(space, (name,))
    assert (network.rows[0], network.rows[-1], network.head) == (space.front[0], space.back[-1], space.head)
    last = layers(network)[-3]
    assert (last.height, last.width) == (4, 4)
    assert (network.height, network.classes, network.channels) == (space.height, space.classes, space.channels)


def test_a_first_block_that_does_not_expand_does_not_on_a_narrower_stem() -> None:
    first = adapt(find("mobilenet-v2"), find_space("mobilenetv3-32")).rows[1]
    assert isinstance(first, InvertedResidual)
    assert not first.expands(8)
