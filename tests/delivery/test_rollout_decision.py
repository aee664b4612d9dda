"""Rollouts move wave by wave, and halt by rule or by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Observed
from lykeion.core import Unavailable
from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.rollouts import (
    ROLLOUT,
    FleetObservation,
    FleetRolloutStatus,
    HaltRule,
    HaltRuleError,
    RolloutSpec,
    VersionOffer,
    Wave,
    decide,
    described_devices,
    halt_rule_text,
    parse_halt_rule,
)
from lykeion.delivery.rollouts.rollout_controller import reconcile_rollout
from lykeion.delivery.rollouts.rollout_decision import FINAL, next_look
from lykeion.delivery.rollouts.rollout_resource import Approval

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CRASH = HaltRule(metric="crash", ratio=2.0)
SPEC = RolloutSpec(
    model="shoes",
    version="champion",
    waves=(Wave(percent=1, soak_seconds=86_400), Wave(percent=100, soak_seconds=86_400)),
    halt_when=(CRASH,),
    interval_seconds=43_200,
)
NEW = FleetRolloutStatus(version="v8", digest="sha256:" + "8" * 64)
BAD = FailureTable(1_000, 60, 99_000, 600)
SAME = FailureTable(1_000, 6, 99_000, 600)


def _spec(**changes: Any) -> RolloutSpec:
    return structs.replace(SPEC, **changes)


def _seen(now: datetime, table: FailureTable = SAME, moved: int = 900, rule: HaltRule = CRASH) -> FleetObservation:
    return FleetObservation(now, 100_000, 1_000, 1_000, 1_000, moved, {rule: table})


def _after(spec: RolloutSpec, looks: list[FailureTable], moved: int = 900) -> FleetRolloutStatus:
    """With an observation each half day."""
    status = decide(spec, NEW, None, START)
    for number, table in enumerate(looks, 1):
        now = START + number * DAY / 2
        rule = spec.halt_when[0] if spec.halt_when else CRASH
        status = decide(spec, status, _seen(now, table, moved, rule), now)
    return status


def test_waves_begin_when_the_one_before_was_watched_and_has_moved() -> None:
    status = decide(SPEC, NEW, None, START)
    assert (status.state, status.wave, status.since) == ("Running", 1, START)
    early = _after(SPEC, [SAME])
    assert (early.wave, early.reason) == (1, "Soaking")
    assert _after(SPEC, [SAME, SAME]).wave == 2
    assert [each.reason for each in _after(SPEC, [SAME] * 4).steps] == ["WaveBegan", "WaveBegan", "Complete"]


def test_a_wave_that_does_not_move_waits_and_pauses_the_rollout_at_its_deadline() -> None:
    spec = _spec(deadline_seconds=2 * 86_400)
    waits = _after(spec, [SAME] * 3, moved=10)
    assert (waits.state, waits.reason) == ("Running", "Moving")
    paused = _after(spec, [SAME] * 4, moved=10)
    assert (paused.state, paused.reason, paused.wave) == ("Paused", "DeadlineExceeded", 1)
    assert paused.message == "10 of 1,000 devices that report run the version after 172800 s"
    moved = decide(spec, paused, _seen(START + 3 * DAY), START + 3 * DAY)
    assert (moved.state, moved.wave) == ("Running", 2)


def test_harm_halts_at_once_where_it_is_plain_and_equal_devices_never() -> None:
    spec = _spec(waves=(Wave(percent=1, soak_seconds=30 * 86_400),))
    assert _after(spec, [FailureTable(40, 40, 80, 0)]).state == "Halted"
    assert _after(spec, [FailureTable(40, 3, 80, 0)]).state == "Running"
    halted = _after(spec, [BAD] * 5)
    assert (halted.state, halted.reason, halted.returns) == ("Halted", "Harm", True)
    assert halted.message.startswith("crash x2: ")
    assert _after(spec, [SAME] * 40).state == "Running"


def test_devices_stay_when_the_spec_says_so_until_a_person_returns_them() -> None:
    spec = _spec(waves=(Wave(percent=1, soak_seconds=30 * 86_400),), on_halt="Stay")
    halted = _after(spec, [BAD] * 5)
    assert (halted.state, halted.returns) == ("Halted", False)
    returned = decide(structs.replace(spec, rollback="now"), halted, None, START + 9 * DAY)
    assert (returned.returns, returned.rollback, returned.state) == (True, "now", "Halted")


def test_a_rollout_that_is_only_watched_reports_once_and_goes_on() -> None:
    spec = _spec(waves=(Wave(percent=1, soak_seconds=5 * 86_400), Wave(percent=100)), watch_only=True)
    status = _after(spec, [BAD] * 10)
    assert [each.reason for each in status.steps] == ["WaveBegan", "WouldHalt", "WaveBegan"]


def test_a_wave_waits_for_two_different_people() -> None:
    waves = (structs.replace(SPEC.waves[0], approvals=2), SPEC.waves[1])
    spec = _spec(waves=waves, approvals=(Approval(wave=1, by="ann"), Approval(wave=1, by="ann")))
    pending = decide(spec, NEW, None, START)
    assert (pending.state, pending.message) == ("Pending", "one person has to approve wave 1")
    both = structs.replace(spec, approvals=(*spec.approvals, Approval(wave=1, by="bob")))
    assert decide(both, pending, None, START + DAY).state == "Running"


def test_no_wave_ends_before_its_reports_were_looked_at() -> None:
    spec = _spec(waves=(Wave(percent=1, soak_seconds=60), Wave(percent=100, soak_seconds=60)))
    status = decide(spec, NEW, None, START)
    assert decide(spec, status, None, START + DAY / 4).wave == 1
    assert _after(spec, [SAME]).wave == 2


def test_a_rollout_for_no_device_does_not_complete() -> None:
    nobody = FleetObservation(START + DAY, 0, 0, 0, 0, 0, {})
    assert decide(SPEC, decide(SPEC, NEW, None, START), nobody, START + DAY).reason == "NoDevices"


def test_a_wave_of_which_no_device_has_reported_is_not_over() -> None:
    unheard = FleetObservation(START + DAY, 100, 50, 0, 0, 0, {})
    status = decide(SPEC, decide(SPEC, NEW, None, START), unheard, START + DAY)
    assert (status.state, status.reason) == ("Running", "Moving")
    assert status.message == "none of 50 devices has reported since"
    heard = FleetObservation(START + 2 * DAY, 100, 50, 9, 0, 0, {})  # none of which may move
    assert decide(SPEC, status, heard, START + 2 * DAY).wave == 2


def test_a_person_halts_a_rollout_whose_version_is_not_known_yet() -> None:
    made = ROLLOUT.new("r", _spec(halt="now"))
    decision = reconcile_rollout(made, Observed(), START)
    assert (decision.status.state, decision.status.reason) == ("Halted", "HaltedByHand")


def test_a_pause_begins_no_wave_and_ends() -> None:
    spec, paused = _spec(pause=True), _after(_spec(pause=True), [SAME] * 6)
    assert (paused.state, paused.wave) == ("Paused", 0)
    assert decide(structs.replace(spec, pause=False), paused, None, START + 9 * DAY).wave == 1


def test_halt_and_rollback_by_hand_act_once() -> None:
    halted = decide(_spec(halt="a", on_halt="Stay"), _after(SPEC, [SAME]), None, START + DAY)
    assert (halted.state, halted.reason, halted.returns, halted.halt) == ("Halted", "HaltedByHand", False, "a")
    rolled = decide(_spec(rollback="b"), _after(SPEC, [SAME]), None, START + DAY)
    assert (rolled.state, rolled.reason, rolled.returns) == ("Halted", "RolledBack", True)


def test_devices_that_return_are_counted_until_none_runs_the_version_and_are_no_evidence() -> None:
    halted = _after(SPEC, [BAD])
    assert (halted.state, next_look(SPEC, halted)) == ("Halted", START + DAY)
    rollout = replace(ROLLOUT.new("next", SPEC), status=halted)
    (asked,) = reconcile_rollout(rollout, Observed(), START + DAY).reads
    some = replace(_seen(START + DAY, BAD, moved=10), running={7: 990, 8: 10})
    answered = reconcile_rollout(rollout, Observed(read={asked: some}), START + DAY).status
    assert described_devices(answered) == "of 1,000 devices 990 run v7, 10 run v8"
    assert (answered.moved, answered.evidence, answered.reason) == (10, halted.evidence, "Harm")
    away = reconcile_rollout(rollout, Observed(read={asked: Unavailable("no file")}), START + DAY).status
    assert (away.reason, away.moved) == ("Harm", 900)
    gone = replace(_seen(START + 1.5 * DAY, moved=0), running={7: 1_000})
    last = decide(SPEC, answered, gone, START + 1.5 * DAY)
    assert described_devices(last) == "of 1,000 devices 1,000 run v7"
    assert next_look(SPEC, last) is None


def test_a_rollout_that_a_person_ends_before_the_first_look_is_looked_at_once_more() -> None:
    begun = decide(SPEC, NEW, None, START)
    ended = decide(_spec(rollback="now"), begun, None, START + DAY / 10)
    assert (ended.state, ended.moved, next_look(SPEC, ended)) == ("Halted", 0, START + DAY / 2)
    looked = decide(_spec(rollback="now"), ended, _seen(START + DAY / 2, moved=0), START + DAY / 2)
    assert next_look(SPEC, looked) is None


def test_nothing_is_looked_at_after_an_end_at_which_devices_stay() -> None:
    complete = _after(SPEC, [SAME] * 4)
    assert (complete.state, next_look(SPEC, complete)) == ("Complete", None)
    returned = decide(_spec(rollback="now"), complete, None, START + 30 * DAY)
    assert next_look(SPEC, returned) == START + 2.5 * DAY


def test_a_clock_that_was_ahead_for_a_moment_holds_up_no_look_and_no_halt() -> None:
    ahead = decide(SPEC, NEW, None, START + 365 * DAY)
    assert ahead.began == (START + 365 * DAY,)
    rollout = replace(ROLLOUT.new("next", SPEC), status=ahead)
    right = reconcile_rollout(rollout, Observed(), START).status
    assert (right.looked, right.since, right.began, right.reason) == (START, START, (START,), "Soaking")
    assert [each.reason for each in right.steps] == ["WaveBegan", "ClockWasAhead"]
    assert next_look(SPEC, right) == START + DAY / 2
    assert decide(SPEC, right, _seen(START + DAY / 2, BAD), START + DAY / 2).state == "Halted"


def test_a_rollout_to_an_embedding_space_without_an_index_waits_for_one() -> None:
    rollout = ROLLOUT.new("next", SPEC)
    earlier, asked = reconcile_rollout(rollout, Observed(), START).reads
    without = VersionOffer(8, "sha256:8", ("sha256:space",))
    waits = reconcile_rollout(rollout, Observed(read={earlier: "", asked: without}), START)
    assert (waits.status.state, waits.status.reason, waits.requeue_after_s) == ("Pending", "NoIndex", 30)
    assert "no index is of the embedding space of its vectors, sha256:space" in waits.status.message
    begun = reconcile_rollout(rollout, Observed(read={earlier: "", asked: VersionOffer(8, "sha256:8")}), START)
    assert (begun.status.state, begun.status.number) == ("Running", 8)


def test_a_rollout_of_a_version_that_is_revoked_halts_and_devices_return() -> None:
    begun = _after(_spec(on_halt="Stay", watch_only=True), [SAME])
    gone = replace(_seen(START + DAY), revoked=True)
    halted = decide(_spec(on_halt="Stay", watch_only=True), begun, gone, START + DAY)
    assert (halted.state, halted.returns, halted.reason) == ("Halted", True, "Revoked")
    assert halted.message == "shoes v8 has been revoked"


def test_a_limit_needs_no_devices_to_compare_with() -> None:
    rule = parse_halt_rule("p90_ms > 40")
    spec = _spec(halt_when=(rule,), waves=(Wave(percent=100, soak_seconds=30 * 86_400),))
    assert _after(spec, [FailureTable(500, 55, 0, 0)] * 3).state == "Running"
    halted = _after(spec, [FailureTable(500, 110, 0, 0)])
    assert (halted.state, halted.message) == ("Halted", "p90_ms > 40: 110 of 500 devices")


def test_fewer_events_than_the_minimum_stop_nothing() -> None:
    rule = parse_halt_rule("crash > 0.1% @5")
    spec = _spec(halt_when=(rule,), waves=(Wave(percent=100, soak_seconds=30 * 86_400),))
    assert _after(spec, [FailureTable(100, 4, 0, 0)]).state == "Running"
    assert _after(spec, [FailureTable(100, 5, 0, 0)]).state == "Halted"


COUNTS = st.integers(0, 400)
TABLES = st.builds(lambda n, k, m, j: FailureTable(n, min(n, k), m, min(m, j)), COUNTS, COUNTS, COUNTS, COUNTS)


@given(
    st.lists(st.tuples(TABLES, COUNTS), max_size=12),
    st.lists(st.sampled_from(["pause", "halt", "rollback", ""]), max_size=12),
)
def test_a_finished_rollout_stays_finished_and_waves_never_go_back(
    looks: list[tuple[FailureTable, int]], verbs: list[str]
) -> None:
    spec, status = SPEC, decide(SPEC, NEW, None, START)
    for number, (table, moved) in enumerate(looks, 1):
        verb = verbs[number - 1] if number <= len(verbs) else ""
        changes: dict[str, Any] = {"pause": verb == "pause"} | (
            {verb: str(number)} if verb in ("halt", "rollback") else {}
        )
        spec, now = structs.replace(spec, **changes), START + number * DAY / 2
        after = decide(spec, status, _seen(now, table, moved), now)
        assert after.wave >= status.wave
        assert after.state == status.state or status.state not in FINAL
        assert decide(spec, after, None, now) == after
        status = after


@pytest.mark.parametrize("text", ["crash x2", "crash > 1%", "p90_ms > 40", "silence x1.5 @10", "p50_app_score > -2"])
def test_halt_rules_print_as_they_are_written(text: str) -> None:
    assert halt_rule_text(parse_halt_rule(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "crash",
        "crash x",
        "p90_ms x2",
        "ms > 40",
        "p90_ms > 1%",
        "crash > 1.2.3%",
        "Crash x2",
        "",
        "crash x0",
        "crash > 0%",
        "crash > 100%",
        "p00_ms > 1",
    ],
)
def test_what_is_no_halt_rule_is_an_error_that_says_how_to_write_one(text: str) -> None:
    with pytest.raises(HaltRuleError, match=r"crash x2|> 1%|is no number|it must be from"):
        parse_halt_rule(text)
