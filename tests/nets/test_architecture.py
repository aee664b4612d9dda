import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nets import (
    Architecture,
    ArchitectureError,
    Convolution,
    DepthwiseSeparable,
    FullyConnected,
    InvertedResidual,
    count,
    efficientnet_lite0,
    layers,
)
from lykeion.nets.architecture import RowPadding

size = st.integers(1, 4096)
activation = st.sampled_from(["linear", "relu", "relu6", "hard-swish", "hard-sigmoid"])
rows = st.lists(
    st.one_of(
        st.builds(Convolution, size, size, size, activation),
        st.builds(DepthwiseSeparable, size, size, size, activation),
        st.builds(InvertedResidual, size, size, size, size, activation, st.integers(0, 4096)),
    ),
    min_size=1,
    max_size=6,
).map(tuple)
heads = st.lists(st.builds(FullyConnected, size, activation), max_size=3).map(tuple)
architectures = st.builds(
    Architecture, st.text(max_size=10), size, size, rows, size, heads, st.integers(1, 4), st.floats(1e-6, 0.1)
)


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


def test_a_file_written_before_there_were_heads_squeezes_and_channels_still_reads() -> None:
    plain = efficientnet_lite0().to_json()
    del plain["head"], plain["channels"]
    for row in plain["rows"]:
        for field in ("squeeze", "expand", "residual"):
            row.pop(field, None)
    assert Architecture.from_json(json.dumps(plain)) == efficientnet_lite0()


def test_squeeze_and_excitation_is_two_dense_layers_with_biases() -> None:
    plain = Architecture("plain", 8, 8, (InvertedResidual(24, 8, 3),), 2)
    squeezed = Architecture("squeezed", 8, 8, (InvertedResidual(24, 8, 3, squeeze=6),), 2)
    more = count(squeezed).parameters - count(plain).parameters
    assert more == 24 * 6 + 6 + 6 * 24 + 24
    assert count(squeezed).multiply_adds - count(plain).multiply_adds == 2 * 24 * 6


def test_the_embedding_is_what_the_classifier_sees() -> None:
    rows = (Convolution(8, 1),)
    assert Architecture("a", 8, 8, rows, 2).dimension == 8
    headed = Architecture("a", 8, 8, rows, 2, head=(FullyConnected(16), FullyConnected(5, "linear")))
    assert headed.dimension == 5
    assert [(layer.name, layer.shape) for layer in layers(headed)[-4:]] == [
        ("pool", (8,)),
        ("head/0", (16,)),
        ("embedding", (5,)),
        ("logits", (2,)),
    ]


def test_a_pruned_row_says_what_its_numbers_would_deny() -> None:
    def parts(row: InvertedResidual) -> list[str]:
        return [layer.name for layer in layers(Architecture("a", 8, 8, (Convolution(8, 1), row), 2))[1:-2]]

    assert parts(InvertedResidual(8, 8, 3)) == ["1/depthwise", "1/project", "1/add"]
    assert parts(InvertedResidual(8, 8, 3, expand=True, residual=False)) == ["1/expand", "1/depthwise", "1/project"]


@pytest.mark.parametrize(("side", "after"), [(8, 4), (7, 3), (3, 1), (2, 1), (1, 1)])
def test_zeros_behind_the_map_alone_round_half_its_size_down(side: int, after: int) -> None:
    def size(padding: RowPadding) -> int:
        row = DepthwiseSeparable(8, 3, 2, padding=padding)
        return layers(Architecture("a", side, side, (row,), 2))[0].height

    assert (size("after"), size("same")) == (after, -(-side // 2))
    mixed = Architecture("a", 7, 8, (DepthwiseSeparable(8, 3, 2, padding="after"),), 2)
    assert layers(mixed)[0].shape == (4, 4, 3)


def test_an_architecture_without_other_padding_is_written_as_older_releases_did() -> None:
    same = Architecture("a", 8, 8, (DepthwiseSeparable(8, 3, 2),), 2)
    after = Architecture("a", 8, 8, (DepthwiseSeparable(8, 3, 2, padding="after"),), 2)
    assert "padding" not in same.to_json()["rows"][0]
    assert Architecture.from_json(json.dumps(after.to_json())) == after


def test_an_architecture_of_a_newer_version_is_refused_in_one_line() -> None:
    newer = efficientnet_lite0().to_json() | {"version": 2}
    with pytest.raises(ArchitectureError, match="version 2; this release reads version 1"):
        Architecture.from_json(newer)


def _inverted(**fields: object) -> dict[str, object]:
    return {"kind": "inverted-residual", "expanded": 6, "output": 8, "kernel": 3} | fields


def _separable(**fields: object) -> dict[str, object]:
    return {"kind": "depthwise-separable", "output": 8, "kernel": 3, "stride": 2} | fields


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": []}, "has 0 rows"),
        ({"schema": "other"}, "schema"),
        ({"rows": [{"kind": "magic"}]}, r"rows\[0\]: kind is 'magic'; it must be convolution or"),
        ({"rows": [{"kind": "convolution", "output": 8, "kernel": 0}]}, "row 0 .* kernel is 0"),
        ({"rows": [{"kind": "convolution", "output": 8, "kernel": 3, "activation": "tanh"}]}, "row 0 .*'tanh'"),
        ({"rows": [{"kind": "convolution", "output": True, "kernel": 3}]}, "output is True"),
        ({"rows": [_inverted(squeeze=True)]}, "row 0 .* squeeze is True"),
        ({"rows": [_inverted(residual=1)]}, "row 0 .* residual is 1"),
        ({"rows": [_inverted(residual=True)]}, "row 0 .* a residual needs stride 1 and 3 output channels"),
        ({"rows": [_inverted(expand=False)]}, "row 0 .* no expansion, yet 6 channels from 3"),
        ({"rows": [{"kind": "convolution", "output": 8, "kernel": 1}] * 1001}, "1001 rows; give 1 to 1000"),
        ({"rows": [_separable(padding="valid")]}, "row 0 .* padding is 'valid'; give same or after"),
        ({"rows": [_separable(padding="after", stride=1)]}, "row 0 .* padding 'after' is of kernel 3 and stride 2"),
        ({"head": [{"output": 0}]}, "head row 0: output is 0"),
        ({"head": 3}, "head is '3'; it must be a list"),
        ({"name": 3}, "name must be a string"),
        ({"channels": 0}, "channels is 0"),
        ({"rows": 3}, "rows is '3'; it must be a list"),
        ({"rows": [3]}, r"rows\[0\] is '3'; it must be a mapping"),
        ({"rows": [{"kind": "convolution"}]}, r"rows\[0\] lacks the field 'output'"),
        ({"rows": [_inverted(colour=1)]}, r"rows\[0\] has no field 'colour'; it takes expanded, output"),
        ({"height": "224"}, "height"),
        ({"epsilon": "small"}, r"epsilon is small; give one in \(0, 1\)"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_architecture_is_an_error_of_one_line_that_says_where(change: dict[str, object], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as caught:
        Architecture.from_json(efficientnet_lite0().to_json() | change)
    assert not re.search(r"\n|__init__|argument|iterable|NoneType|mapping, not", str(caught.value))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_what_is_no_json_object_is_an_error(text: str) -> None:
    with pytest.raises(ArchitectureError):
        Architecture.from_json(text)
