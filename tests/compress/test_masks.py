import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.compress import CompressionError
from lykeion.compress.methods.prune import share_at
from lykeion.compress.weights.masks import Structure, masks

RANDOM = np.random.default_rng(0)
KERNELS = {"wide": RANDOM.standard_normal((1, 1, 24, 40)), "deep": RANDOM.standard_normal((3, 3, 8, 16)) / 100}


def keep(share: float, structure: str = "unstructured", scope: str = "layer") -> dict[str, np.ndarray]:
    shares = dict.fromkeys(KERNELS, share)
    return masks(KERNELS, shares, Structure.parse(structure), scope)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_the_smallest_weights_go(share: float) -> None:
    for name, mask in keep(share).items():
        kernel = np.abs(KERNELS[name])
        assert (~mask).sum() == round(share * mask.size)
        if share:
            assert kernel[~mask].max() <= kernel[mask].min()


def test_a_layer_of_small_numbers_is_not_wiped_out() -> None:
    found = keep(0.7, scope="global")
    zeros = sum((~mask).sum() for mask in found.values())
    assert zeros == round(0.7 * sum(kernel.size for kernel in KERNELS.values()))
    assert 0.1 < found["deep"].mean() < 0.9


@pytest.mark.parametrize(("text", "of", "kept"), [("2:4", 4, 2), ("1:4", 4, 1), ("3:8", 8, 3)])
def test_n_of_each_m_inputs_stay(text: str, of: int, kept: int) -> None:
    for name, mask in keep(1 - kept / of, text).items():
        groups = mask.reshape(-1, of, KERNELS[name].shape[-1])
        assert (groups.sum(axis=1) == kept).all()


def test_inputs_that_fill_no_group_stay() -> None:
    kernel = RANDOM.standard_normal((3, 3, 6))
    mask = masks({"it": kernel}, {"it": 0.5}, Structure.parse("2:4"), "layer")["it"].reshape(9, 6)
    assert mask[8].all()
    assert mask[:8].sum() == 4 * 6


@pytest.mark.parametrize("text", ["4x1", "1x8", "5x3"])
def test_blocks_go_as_one(text: str) -> None:
    rows, columns = map(int, text.split("x"))
    for name, mask in keep(0.5, text).items():
        matrix = mask.reshape(-1, KERNELS[name].shape[-1])
        for row in range(0, matrix.shape[0], rows):
            for column in range(0, matrix.shape[1], columns):
                block = matrix[row : row + rows, column : column + columns]
                assert block.all() or not block.any()
        assert 0.4 < mask.mean() < 0.6


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_zeros_only_grow(final: float, first: float, second: float) -> None:
    earlier, later = sorted((first, second))
    assert 0 <= share_at(earlier, final) <= share_at(later, final) <= final
    assert share_at(1.0, final) == final


def test_what_is_zero_stays_zero_in_a_larger_mask() -> None:
    kernel = KERNELS["wide"]
    first = masks({"it": kernel}, {"it": 0.4}, Structure(), "layer")["it"]
    second = masks({"it": kernel * first}, {"it": 0.6}, Structure(), "layer")["it"]
    assert not (second & ~first).any()


@pytest.mark.parametrize("text", ["", "4:2", "2:2", "0x4", "block", "2:4:8", "100x1"])
def test_a_structure_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CompressionError, match="structure"):
        Structure.parse(text)
