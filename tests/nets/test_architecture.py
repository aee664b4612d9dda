import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nets import Architecture, ArchitectureError, Convolution, InvertedResidual, count, efficientnet_lite0
from lykeion.nets.layers import layers

size = st.integers(1, 4096)
activation = st.sampled_from(["linear", "relu", "relu6"])
rows = st.lists(
    st.one_of(
        st.builds(Convolution, size, size, size, activation),
        st.builds(InvertedResidual, size, size, size, size, activation),
    ),
    min_size=1,
    max_size=6,
).map(tuple)
architectures = st.builds(Architecture, st.text(max_size=10), size, size, rows, size, st.floats(1e-6, 0.1))


@given(architectures)
def test_an_architecture_comes_back_from_json_as_it_was(architecture: Architecture) -> None:
    assert Architecture.from_json(json.dumps(architecture.to_json())) == architecture


def test_efficientnet_lite0_has_the_published_size() -> None:
    counts = count(efficientnet_lite0())
    assert counts.trainable == 4_652_008
    assert counts.statistics == 2 * 21_008
    assert counts.parameters == counts.trainable + counts.statistics
    assert round(counts.multiply_adds / 1e6) == 385


def test_counts_of_a_network_small_enough_for_paper() -> None:
    architecture = Architecture("paper", 4, 4, (Convolution(2, 3, 2), InvertedResidual(4, 2, 3)), classes=5)
    convolution, expand, depthwise, project, dense = 3 * 3 * 3 * 2, 2 * 4, 3 * 3 * 4, 4 * 2, 2 * 5
    counts = count(architecture)
    assert counts.trainable == convolution + expand + depthwise + project + dense + 5 + 2 * (2 + 4 + 4 + 2)
    assert counts.multiply_adds == 4 * (convolution + expand + depthwise + project) + dense


def test_a_block_adds_its_input_only_where_shapes_agree() -> None:
    def adds(row: InvertedResidual) -> bool:
        return any(layer.kind == "add" for layer in layers(Architecture("a", 8, 8, (Convolution(8, 1), row), 2)))

    assert adds(InvertedResidual(16, 8, 3))
    assert not adds(InvertedResidual(16, 8, 3, stride=2))
    assert not adds(InvertedResidual(16, 12, 3))


def test_a_block_without_expansion_has_no_expansion_convolution() -> None:
    block = (Convolution(8, 1), InvertedResidual(8, 8, 3))
    assert not any("expand" in layer.name for layer in layers(Architecture("a", 8, 8, block, 2)))


def test_an_architecture_of_a_newer_version_is_refused_in_one_line() -> None:
    newer = efficientnet_lite0().to_json() | {"version": 2}
    with pytest.raises(ArchitectureError, match="version 2; this release reads version 1"):
        Architecture.from_json(newer)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": []}, "no rows"),
        ({"schema": "other"}, "schema"),
        ({"rows": [{"kind": "magic"}]}, "kind 'magic' is unknown"),
        ({"rows": [{"kind": "convolution", "output": 8, "kernel": 0}]}, "row 0 .* kernel is 0"),
        ({"rows": [{"kind": "convolution", "output": 8, "kernel": 3, "activation": "tanh"}]}, "row 0 .*'tanh'"),
        ({"rows": [{"kind": "convolution", "output": True, "kernel": 3}]}, "output is True"),
        ({"rows": 3}, "not an architecture"),
        ({"height": "224"}, "height"),
        ({"epsilon": "small"}, "not an architecture"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_architecture_is_an_error_of_one_line_that_says_where(change: dict[str, object], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as caught:
        Architecture.from_json(efficientnet_lite0().to_json() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_what_is_no_json_object_is_an_error(text: str) -> None:
    with pytest.raises(ArchitectureError):
        Architecture.from_json(text)
