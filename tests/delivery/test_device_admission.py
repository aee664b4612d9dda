"""Devices enrol once with a token, and renew their credential by a key that never leaves them."""

from pathlib import Path

import pytest

from lykeion.delivery.device_service import (
    DeviceAdmission,
    DeviceStateError,
    FleetStore,
    FleetStoreError,
    NoSuchDevice,
    NotADevice,
    SlowVersion,
    one_device,
    slow_versions,
)
from lykeion.delivery.device_service.records.device_events import note_events
from lykeion.delivery.device_service.records.fleet_records import note_state
from lykeion.device import EnrolRequest, EventBatch, ModelReport, ReportedEvent, ReportedState

from .devices import Clock, TestedDevice

CREDENTIAL_S, OVERLAP_S = 86_400, 120


@pytest.fixture
def admission(base: FleetStore) -> DeviceAdmission:
    return DeviceAdmission(base, Clock())


def _wait(admission: DeviceAdmission, seconds: float) -> None:
    admission.clock.now += seconds  # type: ignore[attr-defined]


def test_a_credential_names_its_device_until_it_expires(admission: DeviceAdmission) -> None:
    made = TestedDevice().enrolled(admission, memory_mb=2048)
    assert admission.device_of(made.token) == made.device
    assert one_device(admission.store, made.device).attributes == {"memory_mb": 2048}
    _wait(admission, CREDENTIAL_S + 1)
    with pytest.raises(NotADevice, match="has expired"):
        admission.device_of(made.token)


def test_a_token_enrols_as_many_devices_as_it_says_and_no_more(admission: DeviceAdmission) -> None:
    token = admission.new_token(60, uses=2)
    for _ in range(2):
        admission.enrol(EnrolRequest(token, TestedDevice().public_key))
    for wrong in (token, "guess"):
        with pytest.raises(NotADevice, match="the token is not valid"):
            admission.enrol(EnrolRequest(wrong, TestedDevice().public_key))


def test_a_token_expires(admission: DeviceAdmission) -> None:
    token = admission.new_token(60)
    _wait(admission, 61)
    with pytest.raises(NotADevice, match="has expired"):
        admission.enrol(EnrolRequest(token, TestedDevice().public_key))


def test_a_device_whose_answer_was_lost_enrols_again_with_the_same_token_and_key(admission: DeviceAdmission) -> None:
    request = EnrolRequest(admission.new_token(60), TestedDevice().public_key)
    first, second = admission.enrol(request), admission.enrol(request)
    assert first.device == second.device
    assert admission.device_of(second.token) == first.device


def test_another_token_does_not_give_the_credential_of_a_device_whose_key_is_known(
    admission: DeviceAdmission,
) -> None:
    device = TestedDevice()
    device.enrolled(admission)
    other = EnrolRequest(admission.new_token(60), device.public_key)
    with pytest.raises(NotADevice, match="not valid"):
        admission.enrol(other)


def test_a_renewal_is_signed_near_the_present_and_taken_once(admission: DeviceAdmission) -> None:
    device = TestedDevice()
    device.enrolled(admission)
    request = device.renewal(admission.clock())
    assert admission.device_of(admission.renew(request).token) == device.id
    with pytest.raises(NotADevice, match="it was sent before"):
        admission.renew(request)
    with pytest.raises(NotADevice, match="the time here is"):
        admission.renew(device.renewal(admission.clock() + 3600))
    other = TestedDevice(id=device.id)
    with pytest.raises(NotADevice, match="not one of an enrolled device"):
        admission.renew(other.renewal(admission.clock() + 1))


def test_a_key_in_use_twice_is_shown_and_its_older_credential_refused(admission: DeviceAdmission) -> None:
    device = TestedDevice()
    first = device.enrolled(admission)
    admission.device_of(first.token)
    _wait(admission, 10)
    second = admission.renew(device.renewal(admission.clock()))
    assert admission.device_of(first.token) == device.id  # the new one was not used yet: its answer may be lost
    admission.device_of(second.token)
    _wait(admission, OVERLAP_S - 1)
    assert admission.device_of(first.token) == device.id
    assert one_device(admission.store, device.id).clone_at is None
    _wait(admission, 2)
    with pytest.raises(NotADevice, match="in use on another device"):
        admission.device_of(first.token)
    assert one_device(admission.store, device.id).clone_at == admission.clock()
    assert admission.device_of(second.token) == device.id


@pytest.mark.parametrize("state", ["revoked", "decommissioned"])
def test_a_device_that_is_out_is_out_at_once(admission: DeviceAdmission, state: str) -> None:
    device = TestedDevice()
    made = device.enrolled(admission)
    admission.set_state(device.id, state, "ann")  # type: ignore[arg-type]
    with pytest.raises(NotADevice, match="was revoked"):
        admission.device_of(made.token)
    with pytest.raises(NotADevice, match=f"this device is {state}"):
        admission.renew(device.renewal(admission.clock() + 1))
    with pytest.raises(NotADevice, match="not valid"):
        admission.enrol(EnrolRequest(admission.new_token(60), device.public_key))


def test_a_decommissioned_device_never_returns(admission: DeviceAdmission) -> None:
    device = TestedDevice()
    device.enrolled(admission)
    admission.set_state(device.id, "decommissioned", "ann")
    with pytest.raises(DeviceStateError, match="is final"):
        admission.set_state(device.id, "active", "ann")
    with pytest.raises(NoSuchDevice, match="no device 'x'"):
        admission.set_state("x", "active", "ann")


def test_no_secret_is_in_the_file_and_who_did_what_is(admission: DeviceAdmission, tmp_path: Path) -> None:
    token = admission.new_token(60, note="for the shop")
    device = TestedDevice()
    made = admission.enrol(EnrolRequest(token, device.public_key))
    admission.set_state(made.device, "quarantined", "ann")
    content = b"".join(file.read_bytes() for file in tmp_path.glob("fleet/*"))
    for table in ("devices", "credentials", "enrolment_tokens", "audit"):
        content += "".join(str(dict(row)) for row in admission.store.rows(f"SELECT * FROM {table}")).encode()
    assert token.encode() not in content
    assert made.token.encode() not in content
    audit = [(row["who"], row["what"]) for row in admission.store.rows("SELECT who, what FROM audit ORDER BY at")]
    assert ("operator", "made a token for 1 devices: for the shop") in audit
    assert ("ann", f"{made.device} is quarantined") in audit


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(FleetStoreError, match=r"fleet\.db"):
        FleetStore(tmp_path / "fleet.db")


def test_a_device_that_was_found_slow_is_known_to_be_until_it_runs_another_version(
    admission: DeviceAdmission,
) -> None:
    store, device = admission.store, TestedDevice().enrolled(admission).device
    fields = {"model": "shoes", "version": 1, "value": 9.0, "class_ms": 3.0}
    events = [ReportedEvent(1, "health", "slow", 5.0, fields), ReportedEvent(2, "event", "slow", 6.0, {"by": "app"})]
    note_events(store, device, EventBatch(tuple(events), {}), 10.0)
    for running, slow in ((1, {(device, "shoes"): SlowVersion(1, 9.0, 3.0)}), (2, {})):
        note_state(store, device, ReportedState("1", "2", {}, {"shoes": ModelReport(running)}), 11.0)
        assert slow_versions(store) == slow_versions(store, device) == slow
