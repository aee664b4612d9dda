"""Bucketing is GrowthBook's: its published cases, and what experiments and rollouts rely on."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core.bucketing import HashVersion, bucket_of, bucket_ranges, choose_variation, in_namespace

CASES = json.loads((Path(__file__).parents[1] / "fixtures/growthbook/cases.json").read_bytes())
SHARES = st.floats(0, 1)


@pytest.mark.parametrize("case", [each for each in CASES["hash"] if each[2] in (1, 2)])
def test_buckets_are_those_of_growthbook(case: tuple[str, str, HashVersion, float]) -> None:
    seed, unit, version, bucket = case
    assert bucket_of(seed, unit, version) == bucket


@pytest.mark.parametrize("case", CASES["getBucketRange"], ids=lambda case: case[0])
def test_ranges_are_those_of_growthbook(case: tuple[str, tuple[Any, ...], list[Any]]) -> None:
    _, arguments, ranges = case
    assert bucket_ranges(*arguments) == [pytest.approx(each) for each in ranges]


@pytest.mark.parametrize("case", CASES["chooseVariation"], ids=lambda case: case[0])
def test_variations_are_those_of_growthbook(case: tuple[str, float, list[Any], int]) -> None:
    _, bucket, ranges, variation = case
    assert choose_variation(bucket, ranges) == (None if variation == -1 else variation)


@pytest.mark.parametrize("case", CASES["inNamespace"], ids=lambda case: case[0])
def test_namespaces_are_those_of_growthbook(case: tuple[str, str, tuple[str, float, float], bool]) -> None:
    _, unit, (name, start, end), inside = case
    assert in_namespace(unit, name, (start, end)) == inside


def test_an_id_outside_the_basic_plane_has_the_bucket_that_javascript_gives_it() -> None:
    assert bucket_of("seed", "\N{PILE OF POO}") == bucket_of("seed", "\ud83d\udca9")


@given(st.text(), st.text(), SHARES, SHARES)
def test_more_coverage_moves_no_unit_to_another_variation(seed: str, unit: str, one: float, two: float) -> None:
    bucket = bucket_of(seed, unit)
    less, more = (choose_variation(bucket, bucket_ranges(3, each)) for each in sorted((one, two)))
    assert less is None or less == more


@given(st.integers(1, 20), st.text(), st.text())
def test_with_full_coverage_every_unit_has_a_variation(count: int, seed: str, unit: str) -> None:
    assert choose_variation(bucket_of(seed, unit), bucket_ranges(count)) in range(count)


def test_buckets_of_consecutive_ids_are_uniform_and_those_of_two_seeds_independent() -> None:
    units = [f"device-{number}" for number in range(20_000)]
    cells = Counter((int(bucket_of("a", each) * 10), int(bucket_of("b", each) * 10)) for each in units)
    expected = len(units) / 100
    chi_square = sum((cells[one, two] - expected) ** 2 / expected for one in range(10) for two in range(10))
    assert chi_square < 148  # 99 degrees of freedom: beyond it by chance once in 1,000
