import numpy as np
import pytest

from lykeion.nas.runs import significance
from lykeion.nas.runs.significance import compare_paired

RNG = np.random.default_rng(0)


def test_a_network_right_on_more_photos_under_every_seed_is_better() -> None:
    second = RNG.random((3, 2000)) < 0.85
    first = second | (RNG.random((3, 2000)) < 0.3)
    difference = compare_paired(first, second)
    assert difference.verdict == "better"
    assert compare_paired(second, first).verdict == "worse"
    assert difference.low < difference.mean < difference.high
    assert difference.mean == pytest.approx(first.mean() - second.mean())


def test_equal_chances_show_no_difference() -> None:
    first, second = (RNG.random((3, 2000)) < 0.85 for _ in range(2))
    assert compare_paired(first, second).verdict == "no difference shown"


def test_a_difference_that_one_seed_of_three_reverses_is_not_shown() -> None:
    second = RNG.random((3, 2000)) < 0.85
    first = second.copy()
    first[:2] |= RNG.random((2, 2000)) < 0.3
    first[2] &= RNG.random(2000) < 0.7
    assert compare_paired(first, second).verdict == "no difference shown"


def test_the_interval_covers_the_truth_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "RESAMPLES", 500)
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hard = rng.random(500)
        first, second = ((rng.random((4, 500)) < 1 - hard * share) for share in (0.30, 0.36))
        difference = compare_paired(first, second)
        covered += difference.low <= 0.03 <= difference.high
    assert covered >= 34


def test_unpaired_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        compare_paired(np.ones((3, 5), bool), np.ones((2, 5), bool))
