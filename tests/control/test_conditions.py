"""Conditions by the conventions of Kubernetes' API."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import Condition, condition_of, is_true, merged

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

changes = st.lists(
    st.builds(Condition, type=st.sampled_from("ABC"), status=st.sampled_from(["True", "False", "Unknown"])),
    max_size=12,
)


@given(changes)
def test_each_type_stands_once_and_the_last_change_counts(changes: list[Condition]) -> None:
    conditions: tuple[Condition, ...] = ()
    for minute, change in enumerate(changes):
        conditions = merged(conditions, NOON + timedelta(minutes=minute), change)
    last = {change.type: change.status for change in changes}
    assert {each.type: each.status for each in conditions} == last
    assert len(conditions) == len(last)


def test_the_time_of_a_transition_is_that_of_the_last_change_of_status() -> None:
    first = merged((), NOON, Condition(type="Ready", status="False", reason="Starting"))
    same = merged(first, NOON + timedelta(hours=1), Condition(type="Ready", status="False", reason="Loading"))
    other = merged(same, NOON + timedelta(hours=2), Condition(type="Ready", status="True"))
    assert [each[0].last_transition_time for each in (first, same, other)] == [NOON, NOON, NOON + timedelta(hours=2)]
    assert same[0].reason == "Loading"


def test_a_condition_is_found_by_its_type_wherever_it_stands() -> None:
    conditions = (Condition(type="Ready", status="False"), Condition(type="Complete", status="True"))
    assert condition_of(conditions, "Complete") == conditions[1]
    assert condition_of(conditions, "Failed") is None
    assert is_true(conditions, "Complete")
    assert not is_true(conditions, "Ready")
    assert not is_true(conditions, "Failed")


def test_a_message_is_cut_to_what_a_condition_may_hold() -> None:
    assert len(merged((), NOON, Condition(type="Failed", status="True", message="x" * 1024))[0].message) == 1024
