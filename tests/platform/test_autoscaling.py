"""The number of replicas: Kubernetes' formula, its tolerance and its windows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.platform.policies.rollouts.autoscaling_formula import kept, needed, recommended, stabilized
from lykeion.platform.resources.plain_kinds.autoscaling import Autoscaling, Recommendation

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("replicas", "load", "replicas_needed"),
    [(4, 8, 4), (4, 8.7, 4), (4, 8.9, 5), (4, 7.2, 4), (4, 6, 3), (1, 20, 10), (4, 0, 0)],
)
def test_load_over_target_rounded_up_but_within_a_tenth_nothing_changes(
    replicas: int, load: float, replicas_needed: int
) -> None:
    assert needed(replicas, load, target=2) == replicas_needed


def test_the_measure_that_needs_most_decides_within_the_limits() -> None:
    scaling = Autoscaling(min_replicas=2, max_replicas=5, target_in_flight=2)
    assert recommended(scaling, 2, 2, [(6, 2), (8, 2)], NOON).replicas == 4
    assert recommended(scaling, 2, 2, [(80, 2)], NOON).replicas == 5
    assert recommended(scaling, 4, 4, [(0, 2)], NOON).replicas == 2
    assert recommended(scaling, 3, 3, [], NOON).replicas == 3  # nothing could be measured


def test_it_does_not_shrink_while_replicas_start() -> None:
    scaling = Autoscaling(max_replicas=5, target_in_flight=2)
    assert recommended(scaling, 4, 3, [(2, 2)], NOON).replicas == 4


def _at(seconds: int, replicas: int) -> Recommendation:
    return Recommendation(at=NOON + timedelta(seconds=seconds), replicas=replicas)


def test_it_grows_at_once_and_shrinks_when_the_window_is_over() -> None:
    scaling = Autoscaling(max_replicas=9, target_in_flight=2, scale_down_stabilization_seconds=60)
    assert stabilized(scaling, 2, [_at(0, 2), _at(15, 6)]) == 6
    assert stabilized(scaling, 6, [_at(15, 6), _at(75, 1)]) == 6
    assert stabilized(scaling, 6, [_at(15, 6), _at(60, 3), _at(76, 1)]) == 3


def test_it_grows_slowly_where_the_spec_says_so() -> None:
    scaling = Autoscaling(max_replicas=9, target_in_flight=2, scale_up_stabilization_seconds=60)
    assert stabilized(scaling, 2, [_at(0, 2), _at(15, 6)]) == 2
    assert stabilized(scaling, 2, [_at(15, 6), _at(76, 7)]) == 7


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=80),
    st.sampled_from([0, 60, 300]),
    st.sampled_from([0, 60, 300]),
    st.integers(1, 20),
)
def test_what_is_not_kept_would_decide_nothing(wanted: list[int], up: int, down: int, replicas: int) -> None:
    scaling = Autoscaling(
        max_replicas=20,
        target_in_flight=1,
        scale_up_stabilization_seconds=up,
        scale_down_stabilization_seconds=down,
    )
    every: list[Recommendation] = []
    few: tuple[Recommendation, ...] = ()
    for number, each in enumerate(wanted):
        every.append(_at(15 * number, each))
        few = kept(scaling, (*few, every[-1]))
        assert stabilized(scaling, replicas, few) == stabilized(scaling, replicas, every)
    assert len(few) <= 40
