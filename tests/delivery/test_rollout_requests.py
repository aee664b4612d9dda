"""What a person asks of a rollout has an effect, or is refused with the reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lykeion.delivery.rollouts import (
    ROLLOUT,
    FleetRolloutStatus,
    Rollout,
    RolloutSpec,
    Wave,
    WithoutEffect,
    approved,
    decide,
    halted,
    paused,
    resumed,
    rolled_back,
    with_spec,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
SPEC = RolloutSpec("shoes", "v2", (Wave(percent=10, approvals=2), Wave(percent=100)))
ENDED = (FleetRolloutStatus(state="Complete", wave=2), FleetRolloutStatus(state="Halted", wave=1, returns=True))
Request = Callable[[Rollout], Rollout]


def rollout(status: FleetRolloutStatus | None = None, **spec: object) -> Rollout:
    made = with_spec(ROLLOUT.new("next", SPEC), **spec)
    return replace(made, status=status) if status else made


@pytest.mark.parametrize("status", ENDED, ids=["complete", "halted"])
@pytest.mark.parametrize(
    "request_", [paused, resumed, lambda each: halted(each, "now"), lambda each: approved(each, "ann")],
    ids=["pause", "resume", "halt", "approve"],
)  # fmt: skip
def test_what_has_ended_is_neither_paused_nor_halted_nor_approved(
    status: FleetRolloutStatus, request_: Request
) -> None:
    with pytest.raises(WithoutEffect, match=f"rollout next has ended: {status.state}"):
        request_(rollout(status))


def test_devices_return_once_and_only_where_some_have_moved() -> None:
    complete, returned = map(rollout, ENDED)
    assert decide(rolled_back(complete, "now").spec, complete.status, None, START).returns
    for each, why in (
        (returned, "return already"),
        (rollout(FleetRolloutStatus(state="Halted")), "no device has moved"),
    ):
        with pytest.raises(WithoutEffect, match=why):
            rolled_back(each, "now")
    stays = rollout(FleetRolloutStatus(state="Halted", wave=1, returns=False))
    assert rolled_back(stays, "now").spec.rollback == "now"


def test_a_rollout_goes_on_only_after_a_pause_by_hand() -> None:
    assert resumed(paused(rollout())).spec == SPEC
    late = FleetRolloutStatus(state="Paused", wave=1, reason="DeadlineExceeded", message="3 of 9 devices")
    with pytest.raises(WithoutEffect, match="was not paused by hand: it is Paused: DeadlineExceeded: 3 of 9"):
        resumed(rollout(late))


def test_a_wave_is_approved_by_different_people_while_it_lacks_them() -> None:
    one = approved(rollout(), "ann")
    with pytest.raises(WithoutEffect, match="ann has approved wave 1 already; another person has to"):
        approved(one, "ann")
    two = approved(one, "bob")
    assert [(each.wave, each.by) for each in two.spec.approvals] == [(1, "ann"), (1, "bob")]
    for wave, why in ((1, "needs no further approval"), (2, "needs no further approval"), (3, "no wave 3; it has 2")):
        with pytest.raises(WithoutEffect, match=why):
            approved(two, "eve", wave)
    with pytest.raises(WithoutEffect, match="wave 1 has begun already"):
        approved(rollout(FleetRolloutStatus(state="Running", wave=1)), "ann", 1)
