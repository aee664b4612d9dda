"""A device's key is made on it and stays on it; what it and its server say is typed and bounded."""

import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.device.errors import UpdateUnavailable
from lykeion.device.fetching.server_calls import ServerRefuses
from lykeion.device.fleet.device_messages import (
    Credential,
    DesiredState,
    EnrolRequest,
    ModelReport,
    RenewRequest,
    ReportedState,
    read_credential,
    read_desired_state,
    read_enrol_request,
    read_renew_request,
    read_reported_state,
    to_plain,
)
from lykeion.device.fleet.enrolment import RENEW_BEFORE_S, DeviceIdentity, KeyFileError, NotEnrolled
from lykeion.device.fleet.event_batches import batch_plain, read_batch
from lykeion.device.fleet.event_reports import EventReports
from lykeion.device.fleet.message_fields import MessageError

from .fleet_server import LIFE_S, FleetServer


class Wire:
    """Calls of a FleetServer; ``lost`` answers never arrive."""

    def __init__(self, server: FleetServer) -> None:
        self.server, self.lost, self.said = server, 0, list[bytes]()

    def __call__(self, call: str, message: Mapping[str, Any], token: str) -> bytes:
        body = json.dumps(message).encode()
        self.said.append(body)
        answer = self.server.answer(call, body, token)
        if self.lost:
            self.lost -= 1
            raise UpdateUnavailable("the connection was lost")
        return json.dumps(answer).encode()


@pytest.fixture
def server() -> FleetServer:
    return FleetServer()


@pytest.fixture
def wire(server: FleetServer) -> Wire:
    return Wire(server)


@pytest.fixture
def identity(wire: Wire, tmp_path: Path) -> DeviceIdentity:
    return DeviceIdentity(tmp_path / "identity", wire, lambda: wire.server.now)


def test_a_token_is_used_once_and_the_private_key_stays(identity: DeviceIdentity, wire: Wire, tmp_path: Path) -> None:
    credential = identity.enrol("once")
    assert credential == identity.credential()
    assert identity.device() == "device-1"
    key = (tmp_path / "identity" / "key").read_text()
    secret = "".join(key.split("\n")[1:-2])
    assert secret not in b"".join(wire.said).decode()
    for name in ("key", "credential"):
        assert stat.S_IMODE((tmp_path / "identity" / name).stat().st_mode) == 0o600
    with pytest.raises(ServerRefuses, match="was used"):
        DeviceIdentity(tmp_path / "another", wire, lambda: wire.server.now).enrol("once")


def test_a_device_that_enrols_again_makes_another_key_and_stays_what_it_was_until_the_server_takes_it(
    identity: DeviceIdentity, wire: Wire, tmp_path: Path
) -> None:
    first = identity.enrol("once")
    key = (tmp_path / "identity" / "key").read_bytes()
    wire.server.tokens |= {"twice"}
    with pytest.raises(ServerRefuses):
        identity.enrol("guess")
    assert (identity.credential(), (tmp_path / "identity" / "key").read_bytes()) == (first, key)
    assert identity.enrol("twice").device == identity.device() == "device-2"
    assert (tmp_path / "identity" / "key").read_bytes() != key
    assert len(set(wire.server.keys.values())) == 2
    wire.server.now += 2 * LIFE_S
    assert identity.credential().device == "device-2"  # renewed by the new key


def test_a_second_enrolment_that_was_killed_after_the_answer_is_completed(
    identity: DeviceIdentity, wire: Wire, tmp_path: Path
) -> None:
    identity.enrol("once")
    wire.server.tokens |= {"twice"}
    home = tmp_path / "identity"
    replace(identity, directory=home / "next")._enrol("twice")
    (home / "next" / "key").replace(home / "key")  # as far as the process came
    assert identity.device() == "device-2"
    wire.server.now += 2 * LIFE_S
    assert identity.credential().device == "device-2"


def test_a_credential_is_renewed_by_the_key_before_it_ends(identity: DeviceIdentity, server: FleetServer) -> None:
    first = identity.enrol("once")
    server.now += LIFE_S - RENEW_BEFORE_S
    assert identity.credential() == first
    server.now += 1
    second = identity.credential()
    assert second.expires > first.expires
    server.now += 30 * LIFE_S  # long without a network
    assert identity.credential().expires > server.now


def test_a_copied_credential_without_the_key_ends_with_its_life(
    identity: DeviceIdentity, server: FleetServer, wire: Wire, tmp_path: Path
) -> None:
    identity.enrol("once")
    thief = DeviceIdentity(tmp_path / "thief", wire, lambda: server.now)
    (tmp_path / "thief").mkdir()
    (tmp_path / "thief" / "credential").write_bytes((tmp_path / "identity" / "credential").read_bytes())
    server.now += LIFE_S
    with pytest.raises(NotEnrolled, match="lost its key"):
        thief.credential()
    thief._new_key()
    with pytest.raises(ServerRefuses, match="not the device's"):
        thief.credential()


def test_an_enrolment_whose_answer_is_lost_keeps_its_key_for_the_next_token(
    identity: DeviceIdentity, server: FleetServer, wire: Wire
) -> None:
    wire.lost = 1
    with pytest.raises(UpdateUnavailable):
        identity.enrol("once")
    with pytest.raises(NotEnrolled, match="lykeion device enroll"):
        identity.credential()
    server.tokens.add("another")
    identity.enrol("another")
    assert server.keys["device-1"] == server.keys["device-2"]


def test_a_damaged_key_or_credential_is_an_error_of_one_line(
    identity: DeviceIdentity, server: FleetServer, tmp_path: Path
) -> None:
    identity.enrol("once")
    (tmp_path / "identity" / "key").write_text("no key")
    server.now += LIFE_S
    with pytest.raises(KeyFileError, match="enrol this device again") as caught:
        identity.credential()
    assert "\n" not in str(caught.value)
    (tmp_path / "identity" / "credential").write_text("{}")
    with pytest.raises(KeyFileError, match="enrol this device again"):
        identity.credential()


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
MODELS = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=256)
VALUES = st.one_of(
    TEXTS, st.integers(-(1 << 53), 1 << 53), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=8)
REPORTS = st.builds(
    ModelReport, st.integers(0, 999), st.just("sha256:" + "0" * 64), TEXTS, st.integers(0, 999), TEXTS
)
MESSAGES = [
    (read_enrol_request, st.builds(EnrolRequest, TEXTS, st.just("0f" * 32), ATTRIBUTES)),
    (read_renew_request, st.builds(RenewRequest, TEXTS, st.integers(0, 1 << 40), st.just("0f" * 64))),
    (read_credential, st.builds(Credential, TEXTS, TEXTS, st.integers(0, 1 << 40))),
    (
        read_reported_state,
        st.builds(ReportedState, TEXTS, TEXTS, ATTRIBUTES, st.dictionaries(MODELS, REPORTS, max_size=4)),
    ),
    (
        read_desired_state,
        st.builds(
            DesiredState, MODELS, st.dictionaries(MODELS, TEXTS, max_size=4), ATTRIBUTES, st.integers(1, 3_600)
        ),
    ),
]


@pytest.mark.parametrize(("read", "messages"), MESSAGES, ids=lambda each: getattr(each, "__name__", ""))
@given(data=st.data())
def test_a_message_is_read_as_it_was_said_and_nothing_else_is(read: Any, messages: Any, data: st.DataObject) -> None:
    message = data.draw(messages)
    plain = to_plain(message)
    assert read(json.dumps(plain).encode()) == message
    field = data.draw(st.sampled_from(sorted(plain)))
    wrong = data.draw(st.sampled_from([None, [], {"A b": 1}, "x" * 257, -1, "a\u202eb", 1 << 60, float("inf")]))
    lenient = read is read_desired_state  # what a later server adds is left out, what an earlier one lacks is none
    all_changed = [{**plain, field: wrong}]
    all_changed += [] if lenient else [{**plain, "more": 1}]
    all_changed += [] if lenient and field.startswith("log_") else [{k: v for k, v in plain.items() if k != field}]
    for changed in all_changed:
        with pytest.raises(MessageError) as caught:
            read(json.dumps(changed).encode())
        assert "\n" not in str(caught.value)


def test_a_batch_of_events_is_read_as_it_was_said(tmp_path: Path) -> None:
    reports = EventReports(tmp_path / "reports.db", max_events=2)
    reports.add("shown", {"version": 1, "text": "\u202e", "at": 0.5}, "exposure")
    reports.add("bought", kind="outcome")
    reports.add("tapped")
    batch = reports.batch()
    plain = batch_plain(batch)
    assert read_batch(json.dumps(plain).encode()) == batch
    event = plain["events"][0]
    for wrong in ({"kind": "rumour"}, {"id": -1}, {"fields": {"a": [1]}}, {"more": 1}):
        with pytest.raises(MessageError):
            read_batch(json.dumps({**plain, "events": [{**event, **wrong}]}).encode())
    with pytest.raises(MessageError, match="at most"):
        read_batch(json.dumps({**plain, "events": [event] * 1_001}).encode())
    assert replace(batch, dropped={}) != batch
