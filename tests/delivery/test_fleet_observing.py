"""What the reports of devices say of a rollout: by assignment, each device once, of the interval."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from lykeion.core.bucketing import bucket_of
from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.device_service import DeviceAdmission, FleetStore, PublishedCatalogue
from lykeion.delivery.device_service.fleet_resources.fleet_observing import observe
from lykeion.delivery.device_service.records.device_events import note_events
from lykeion.delivery.device_service.records.fleet_records import note_state
from lykeion.delivery.rollouts import ROLLOUT, Rollout, RolloutSpec, Wave, parse_halt_rule
from lykeion.device import EventBatch, ModelReport, ReportedEvent, ReportedState

from .devices import Clock, TestedDevice
from .fleet import Fleet

BEGUN = 1_800_000_000.0
HOUR = 3_600.0


class Observed:
    """Ten devices, and a rollout to half of the fleet."""

    def __init__(self, store: FleetStore, catalogue: PublishedCatalogue, rule: str) -> None:
        self.store, self.catalogue, self.rule = store, catalogue, parse_halt_rule(rule)
        self.admission = DeviceAdmission(store, Clock(BEGUN))
        self.devices = [TestedDevice().enrolled(self.admission).device for _ in range(40)]
        spec = RolloutSpec(
            model="shoes", version="v2", waves=(Wave(percent=50), Wave(percent=100)), halt_when=(self.rule,)
        )
        made = ROLLOUT.new("r", spec)
        metadata = structs.replace(made.metadata, uid="u", creation_timestamp=datetime.fromtimestamp(BEGUN, UTC))
        began = (datetime.fromtimestamp(BEGUN, UTC),)
        status = structs.replace(made.status, state="Running", wave=1, version="v2", number=2, began=began)
        self.rollout: Rollout = replace(made, metadata=metadata, status=status)
        self.treated = [each for each in self.devices if bucket_of("u", each) < 0.5]
        self.others = [each for each in self.devices if bucket_of("u", each) >= 0.5]

    def says(self, device: str, at: float, running: int = 1) -> None:
        state = ReportedState("1", "2.1", {}, {"shoes": ModelReport(running, "", "idle")})
        note_state(self.store, device, state, at)

    def tells(self, device: str, at: float, name: str, number: int = 1, **fields: Any) -> None:
        event = ReportedEvent(number, "health", name, at, {"model": "shoes", **fields})
        note_events(self.store, device, EventBatch((event,), {}), at)

    def table(self, since: float, until: float) -> FailureTable:
        return self.observed(since, until).tables[self.rule]

    def observed(self, since: float, until: float) -> Any:
        times = (datetime.fromtimestamp(each, UTC) for each in (since, until))
        return observe(self.store, self.catalogue, self.rollout, *times)


@pytest.fixture
def made(request: pytest.FixtureRequest, fleet: Fleet, base: FleetStore) -> Observed:
    fleet.init()
    return Observed(base, PublishedCatalogue(fleet.home), request.param)


def _of(rule: str) -> Any:
    return pytest.mark.parametrize("made", [rule], indirect=True)


@_of("crash x2")
def test_devices_are_counted_by_assignment_and_moved_by_what_they_run(made: Observed) -> None:
    for device in made.devices:
        made.says(device, BEGUN + HOUR / 2, running=2 if device in made.treated[:3] else 1)
    found = made.observed(BEGUN, BEGUN + HOUR)
    assert (found.fleet, found.assigned, found.moved) == (40, len(made.treated), 3)
    assert sum(found.running.values()) == len(made.treated)
    assert found.running[2] == 3
    assert 5 < len(made.treated) < 35


@_of("crash x2")
def test_a_device_counts_once_by_its_first_crash_in_the_rollout(made: Observed) -> None:
    for device in made.devices:
        made.says(device, BEGUN + 3 * HOUR)
    crashing, other = made.treated[0], made.others[0]
    made.tells(crashing, BEGUN - 5, "crash", 1)  # before the rollout
    made.tells(crashing, BEGUN + 10, "crash", 2)
    made.tells(crashing, BEGUN + HOUR + 10, "given_up", 3)
    made.tells(other, BEGUN + HOUR + 20, "crash", 1)
    for device in (crashing, other):
        made.says(device, BEGUN + 3 * HOUR)
    treated, others = len(made.treated), len(made.others)
    assert made.table(BEGUN, BEGUN + HOUR) == (treated, 1, others, 0)
    assert made.table(BEGUN + HOUR, BEGUN + 2 * HOUR) == (treated - 1, 0, others, 1)


@_of("crash x2")
def test_devices_that_did_not_report_in_the_interval_are_not_at_risk(made: Observed) -> None:
    made.says(made.treated[0], BEGUN + HOUR + 1)
    for device in made.others[:2]:
        made.says(device, BEGUN + HOUR + 1)
    assert made.table(BEGUN + HOUR, BEGUN + 2 * HOUR) == (1, 0, 2, 0)


@_of("silence x2")
def test_a_device_that_falls_silent_counts_when_its_time_is_over(made: Observed) -> None:
    silence = made.rollout.spec.silence_seconds
    for device in made.devices:
        made.says(device, BEGUN + 10 * HOUR)
    made.says(made.treated[0], BEGUN + HOUR / 2)
    end = BEGUN + HOUR / 2 + silence
    assert made.table(end - HOUR, end) == (len(made.treated), 0, len(made.others), 0)
    assert made.table(end, end + HOUR) == (len(made.treated), 1, len(made.others), 0)
    assert made.table(end + HOUR, end + 2 * HOUR) == (len(made.treated) - 1, 0, len(made.others), 0)


@_of("p90_ms > 40")
def test_a_limit_on_values_takes_the_first_report_of_devices_that_moved(made: Observed) -> None:
    for device in made.devices:
        made.says(device, BEGUN + 1, running=2 if device in made.treated else 1)
    made.tells(made.treated[0], BEGUN + 10, "run_times", 1, p90_ms=50.0, version=2)
    made.tells(made.treated[0], BEGUN + 20, "run_times", 2, p90_ms=10.0, version=2)
    made.tells(made.treated[1], BEGUN + 10, "run_times", 1, p90_ms=12.5, version=2)
    made.tells(made.treated[2], BEGUN + 10, "run_times", 1, p90_ms=99.0, version=1)
    made.tells(made.others[0], BEGUN + 10, "run_times", 1, p90_ms=99.0)
    assert made.table(BEGUN, BEGUN + HOUR) == (2, 1, 0, 0)


@_of("silence x2")
def test_a_device_that_falls_silent_again_is_no_further_event(made: Observed) -> None:
    silence = made.rollout.spec.silence_seconds
    for device in made.devices:
        made.says(device, BEGUN + 90 * HOUR)
    made.says(made.treated[0], BEGUN)
    assert made.table(BEGUN + silence, BEGUN + silence + HOUR).treated_failures == 1
    made.says(made.treated[0], BEGUN + 20 * HOUR)  # it came back, and falls silent once more
    later = BEGUN + 20 * HOUR + silence
    assert made.table(later, later + HOUR).treated_failures == 0


@_of("crash x2")
def test_devices_that_a_wave_names_are_not_compared_with_those_that_are_drawn(made: Observed) -> None:
    waves = (Wave(devices=(made.devices[0],)), Wave(percent=50), Wave(percent=100))
    spec = structs.replace(made.rollout.spec, waves=waves)
    status = structs.replace(made.rollout.status, wave=2, began=made.rollout.status.began * 2)
    made.rollout = replace(made.rollout, spec=spec, status=status)
    for device in made.devices:
        made.says(device, BEGUN + 1)
    table = made.table(BEGUN, BEGUN + HOUR)
    assert table.treated + table.control == len(made.devices) - 1


@_of("crash > 1%")
def test_a_limit_counts_nothing_that_another_version_did(made: Observed) -> None:
    made.tells(made.treated[0], BEGUN + 10, "crash", 1, version=1)
    made.tells(made.treated[1], BEGUN + 10, "crash", 1, version=2)
    assert made.table(BEGUN + HOUR, BEGUN + 2 * HOUR) == (len(made.treated), 1, 0, 0)


@_of("crash > 1%")
def test_a_limit_on_a_share_counts_all_assigned_devices_since_the_start(made: Observed) -> None:
    made.tells(made.treated[0], BEGUN + 10, "crash", 1)
    made.tells(made.others[0], BEGUN + 10, "crash", 1)
    assert made.table(BEGUN + HOUR, BEGUN + 2 * HOUR) == (len(made.treated), 1, 0, 0)


@_of("crash x2")
def test_events_that_are_sent_again_and_devices_that_are_out_change_nothing(made: Observed) -> None:
    for device in made.devices:
        made.says(device, BEGUN + 1)
    for _ in range(3):
        made.tells(made.treated[0], BEGUN + 10, "crash", 1)
    made.admission.set_state(made.others[0], "revoked", "ann")
    made.admission.set_state(made.others[1], "quarantined", "ann")
    assert made.table(BEGUN, BEGUN + HOUR) == (len(made.treated), 1, len(made.others) - 1, 0)
    assert made.store.rows("SELECT COUNT(*) AS n FROM events")[0]["n"] == 1


@_of("crash > 1%")
def test_what_happens_after_a_look_by_a_clock_that_was_ahead_is_counted(made: Observed) -> None:
    year = 365 * 24 * HOUR
    assert made.table(BEGUN, BEGUN + year) == (len(made.treated), 0, 0, 0)
    made.tells(made.treated[0], BEGUN + HOUR, "crash", 1)
    assert made.table(BEGUN + HOUR / 2, BEGUN + 2 * HOUR) == (len(made.treated), 1, 0, 0)


@_of("crash x2")
def test_a_late_event_counts_in_the_interval_in_which_it_is_found_also_where_that_is_looked_at_again(
    made: Observed,
) -> None:
    for device in made.devices:
        made.says(device, BEGUN + 3 * HOUR)
    assert made.table(BEGUN, BEGUN + HOUR).treated_failures == 0
    made.tells(made.treated[0], BEGUN + HOUR - 10, "crash", 1)
    made.says(made.treated[0], BEGUN + 3 * HOUR)
    for _ in range(2):
        assert made.table(BEGUN + HOUR, BEGUN + 2 * HOUR).treated_failures == 1
    assert made.table(BEGUN + 2 * HOUR, BEGUN + 3 * HOUR).treated_failures == 0
