"""Of the rollouts of one model only one moves at a time, whichever was made first and whatever waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from msgspec import structs

from lykeion.delivery.device_service.fleet_resources.rollout_lookups import waits_for
from lykeion.delivery.rollouts import ROLLOUT, Rollout, RolloutSpec, Wave, why_needed

BEGUN = datetime(2026, 11, 30, tzinfo=UTC)


def _rollout(uid: str, made: int = 0, model: str = "shoes", **status: object) -> Rollout:
    spec = RolloutSpec(model=model, version="v2", waves=(Wave(percent=100),))
    new = ROLLOUT.new(uid, spec)
    metadata = structs.replace(new.metadata, uid=uid, creation_timestamp=BEGUN + timedelta(seconds=made))
    return replace(new, metadata=metadata, status=structs.replace(new.status, **status))


def test_the_older_of_two_begins_and_the_other_waits() -> None:
    both = [_rollout("b", 1), _rollout("a", 2), _rollout("c", 0, model="boots")]
    assert (waits_for("shoes", "b", both), waits_for("shoes", "a", both)) == ("", "b")


def test_one_that_has_begun_is_waited_for_also_by_an_older_one() -> None:
    both = [_rollout("a", 0), _rollout("b", 0, state="Running", wave=1)]
    assert waits_for("shoes", "a", both) == "b"


def test_nobody_waits_for_what_has_ended_or_waits_for_its_version() -> None:
    others = [_rollout("a", 0, state="Halted", wave=1), _rollout("b", 0, state="Complete", wave=1)]
    others.append(_rollout("c", 0, reason="NotPublished"))
    assert waits_for("shoes", "d", [*others, _rollout("d", 5)]) == ""


def test_a_rollout_that_devices_follow_is_needed_until_another_one_takes_its_place() -> None:
    first = _rollout("a", 0, state="Complete", wave=1, version="v2", began=(BEGUN,))
    assert why_needed(first, [first]) == "devices run shoes v2 by it"
    later = _rollout("b", 9, state="Complete", wave=1, version="v3", began=(BEGUN + timedelta(hours=1),))
    assert why_needed(first, [first, later]) == ""
    back = replace(later, status=structs.replace(later.status, returns=True))
    assert why_needed(first, [first, back]) == "devices run shoes v2 by it"
    assert why_needed(back, [first, back]) == "it keeps devices from shoes v3"
    assert why_needed(_rollout("c"), [first]) == ""
