import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.engines.choosing import Goal, GoalError, exact, parse_goal
from lykeion.engines.choosing.goal import Interval

WHERES = (
    "latency_ms <= 5",
    "latency_ms < 5 and top1 >= 0.9",
    "latency_ms > 5 or not top1 > 0.5",
    "size_bytes between 3 and 7",
    "threads in (1, 4) and latency_ms != 2",
    "not (latency_ms = 3 or top1 < 1)",
)
numbers = st.integers(0, 8).map(float)
intervals = st.tuples(numbers, numbers).map(lambda ends: (min(ends), max(ends)))


def test_a_goal_says_what_is_required_and_what_decides() -> None:
    goal = parse_goal("latency_ms <= 5 and top1 >= 0.90, minimise size_bytes")
    assert (goal.objective, goal.maximise) == ("size_bytes", False)
    assert goal.names == {"latency_ms", "top1", "size_bytes"}
    assert goal.truth({"latency_ms": (1.0, 5.0), "top1": exact(0.9)}) is True
    assert goal.truth({"latency_ms": (5.1, 6.0)}) is False
    assert goal.truth({"latency_ms": (4.0, 6.0), "top1": exact(0.9)}) is None
    assert goal.failing({"latency_ms": (5.1, 6.0), "top1": exact(0.95)}) == "latency_ms is 5.1 to 6"


def test_a_goal_may_require_nothing_and_may_be_spelt_either_way() -> None:
    goal = parse_goal("maximize top1")
    assert goal.truth({}) is True
    assert goal.cost({"top1": (0.8, 0.9)}) == (-0.9, -0.8)


@pytest.mark.parametrize(
    ("with_units", "plain"),
    [
        ("latency_ms <= 5 ms", "latency_ms <= 5"),
        ("p99_ms<250µs or cold_start_ms > 1.5s", "p99_ms < 0.25 or cold_start_ms > 1500"),
        ("size_bytes between 1 MiB and 5MB", "size_bytes between 1048576 and 5000000"),
        ("memory_bytes in (1kB, 2 KB)", "memory_bytes in (1000, 2000)"),
        ("not (top1 < 90% and energy_uj > 1 mJ)", "not (top1 < 0.9 and energy_uj > 1000)"),
        ("multiply_adds < 300M and size_bytes < '5 MB'", "multiply_adds < 300000000 and size_bytes < 5000000"),
    ],
)
def test_numbers_may_have_units(with_units: str, plain: str) -> None:
    def condition(text: str) -> str:
        where = str(parse_goal(f"{text}, minimise top1").where)
        return re.sub(r"at=\d+|\.0\b", "", where)  # where they stand, and whether they are whole

    assert condition(with_units) == condition(plain)


def test_what_is_quoted_keeps_its_words() -> None:
    goal = parse_goal("model = 'tiny 5 MB' and latency_ms < 3, minimise top1")
    assert goal.truth({"model": "tiny 5 MB", "latency_ms": exact(2)}) is True


def test_a_comma_in_the_condition_is_not_the_last_one() -> None:
    goal = parse_goal("engine in ('litert', 'onnxruntime') and threads = 1, minimise latency_ms")
    assert goal.truth({"engine": "litert", "threads": exact(1)}) is True
    assert goal.truth({"engine": "openvino", "threads": exact(1)}) is False


@given(
    st.sampled_from(WHERES),
    st.dictionaries(st.sampled_from(["latency_ms", "top1", "size_bytes", "threads"]), intervals),
    st.data(),
)
def test_what_is_certain_of_intervals_holds_for_every_number_in_them(
    where: str, known: Mapping[str, Interval], data: st.DataObject
) -> None:
    goal = parse_goal(f"{where}, minimise latency_ms")
    everything = {name: known.get(name, (0.0, 8.0)) for name in ("latency_ms", "top1", "size_bytes", "threads")}
    drawn = {name: exact(data.draw(st.floats(*ends))) for name, ends in everything.items()}
    certain, actual = goal.truth(known), goal.truth(drawn)
    assert actual is not None
    assert certain in (None, actual)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latency_ms <= 5", "end it with what decides"),
        ("", "end it with what decides"),
        ("latency_ms <= 5, minimise engine", "'engine' cannot be made small"),
        ("latency <= 5, minimise size_bytes", "nothing is called 'latency'"),
        ("latency_ms <= 'fast', minimise size_bytes", "latency_ms is a number"),
        ("engine < 'x', minimise size_bytes", "engine is a text"),
        ("engine contains 'x', minimise size_bytes", "engine is no list"),
        ("latency_ms <=, minimise size_bytes", "goal, character 14: it ends"),
        ("latency_ms < 5 ms and top1 >> 3, minimise top1", "goal, character 29: unexpected '>'"),
        ("size_bytes in (5MB, 6 MB) or, minimise top1", "goal, character 29: it ends"),
        ("size_bytes < 5 ms, minimise top1", "size_bytes is not in ms, as '5 ms' is; give a number in B, kB"),
        ("threads < 5 ms, minimise top1", "threads is not in ms, as '5 ms' is; give a number without a unit"),
        ("latency_ms < 5 days, minimise top1", "goal, character 16: unexpected 'days'"),
    ],
)
def test_a_wrong_goal_is_an_error_of_one_line(text: str, says: str) -> None:
    with pytest.raises(GoalError, match=says) as caught:
        parse_goal(text)
    assert "\n" not in str(caught.value)


def test_goals_compare_by_what_they_say() -> None:
    assert parse_goal("minimise latency_ms") == Goal("minimise latency_ms", None, "latency_ms", False)
