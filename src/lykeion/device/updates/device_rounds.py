"""A round of a device with its server and repository: reports, desired state, updates. What the facade imports late,
since it brings TUF."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lykeion.core import LykeionError, NotFound, Unavailable, read_bounded, write_atomically
from lykeion.device.device_conditions import ConditionsHook, hindrance
from lykeion.device.device_settings import ROOT_FILE, DeviceSettings
from lykeion.device.errors import UpdateUnavailable
from lykeion.device.fetching.download_pace import Pace
from lykeion.device.fetching.file_source import HttpFiles
from lykeion.device.fetching.server_calls import HttpPost
from lykeion.device.fleet.device_attributes import device_attributes, software_version
from lykeion.device.fleet.device_log import DeviceLog
from lykeion.device.fleet.device_messages import (
    EVENTS,
    LOG,
    STATE,
    DesiredState,
    LogAnswer,
    ModelReport,
    ReportedState,
    read_desired_state,
    to_plain,
)
from lykeion.device.fleet.enrolment import DeviceIdentity
from lykeion.device.fleet.event_batches import batch_plain
from lykeion.device.fleet.event_reports import EventReports
from lykeion.device.fleet.message_fields import MAX_MESSAGE_BYTES, Attribute, MessageError
from lykeion.device.inference.model_trial import ModelTrial
from lykeion.device.live.live_connection import Handler, LiveConnection
from lykeion.device.slots.model_slots import ModelSlots
from lykeion.device.slots.slot_state import Offer, SlotState
from lykeion.device.trusted_metadata import TrustedMetadata
from lykeion.device.updates.model_update import ModelUpdate
from lykeion.device.updates.update_round import RoundOutcome, UpdateRound, Wanted

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""Before any release: a clock that is earlier is wrong."""
DESIRED_FILE = "desired.json"
_MAX_ROOT_BYTES = 512_000


class HinderedUpdate(Unavailable):
    """The device's conditions, such as a metered network, keep it from downloading now."""


def run_round(
    home: Path,
    settings: DeviceSettings,
    slots: ModelSlots,
    reports: EventReports,
    conditions: ConditionsHook,
    log: DeviceLog,
    live: bool = False,
) -> RoundOutcome:
    """With ``live`` the server is in conversation with the device already. Raises nothing that another round could
    mend."""
    outcome = _run_round(home, settings, slots, reports, conditions, log, live)
    for name, problem in outcome.problems.items():
        log.add(f"{name or 'update'}: {problem}")
    return outcome


def _run_round(
    home: Path,
    settings: DeviceSettings,
    slots: ModelSlots,
    reports: EventReports,
    conditions: ConditionsHook,
    log: DeviceLog,
    live: bool,
) -> RoundOutcome:
    outcome = RoundOutcome()
    server = _Server(home, settings, slots, reports, log) if settings.server and not live else None
    if server:
        server.tell(outcome)
    elif settings.server and (desired := kept_desired(home)) and desired.log_request:
        _Server(home, settings, slots, reports, log).tell_log(desired, outcome)
    wanted = _wanted(settings, kept_desired(home))
    before = {name: slots.state(name) for name in slots.names()}
    try:
        found = _update_round(home, settings, slots, reports, conditions).run(wanted)
    except LykeionError as error:
        outcome.failed("", error)
        return outcome
    outcome.states = found.states
    outcome.problems |= found.problems
    outcome.later_s = max(outcome.later_s, found.later_s)
    outcome.unreachable = outcome.unreachable or found.unreachable
    changed = [name for name, state in found.states.items() if state != before.get(name)]
    for name in changed:
        log.add(f"{name}: {_described(found.states[name])}")
        _report_change(reports, name, before.get(name, SlotState()), found.states[name])
    if server and changed:
        server.tell(outcome)
    return outcome


def kept_desired(home: Path) -> DesiredState | None:
    """What the server said last; None before, or if it cannot be read."""
    try:
        data = read_bounded(home / DESIRED_FILE, MessageError, "desired state", limit=MAX_MESSAGE_BYTES)
        return read_desired_state(data)
    except MessageError:
        return None


class _Server:
    def __init__(
        self, home: Path, settings: DeviceSettings, slots: ModelSlots, reports: EventReports, log: DeviceLog
    ) -> None:
        self._home, self._slots, self._reports, self._log = home, slots, reports, log
        self._attributes = device_attributes(settings.attributes)
        self._post = HttpPost(settings.server)
        self._identity = DeviceIdentity(home / "identity", self._post)

    def tell(self, outcome: RoundOutcome) -> None:
        """Send the state and the events; keep what is desired then."""
        try:
            token = self._identity.credential().token
            answer = self._post(STATE, to_plain(reported_state(self._slots, self._attributes)), token)
            desired = read_desired_state(answer)
            outcome.poll_s = desired.poll_s
            write_atomically(self._home / DESIRED_FILE, json.dumps(to_plain(desired)).encode())
            told = None
            while (batch := self._reports.batch()) != told and (batch.events or batch.dropped):
                self._post(EVENTS, batch_plain(batch), token)
                self._reports.arrived(batch)
                told = batch  # which comes again where the file cannot be written
            self._answer(desired, token)
        except LykeionError as error:
            outcome.failed("server", error)
        except OSError as error:
            outcome.problems["server"] = f"{self._home}: {error.strerror or error}"

    def tell_log(self, desired: DesiredState, outcome: RoundOutcome) -> None:
        """Answer a request for the log that came by a conversation."""
        try:
            self._answer(desired, self._identity.credential().token)
        except LykeionError as error:
            outcome.failed("server", error)

    def _answer(self, desired: DesiredState, token: str) -> None:
        if desired.log_request:
            lines = LogAnswer(desired.log_request, self._log.last(desired.log_lines))
            self._post(LOG, to_plain(lines), token)


def keep_desired(home: Path, plain: dict[str, Any]) -> bool:
    """Whether it is another state than before. Raises MessageError."""
    data = json.dumps(plain).encode()
    if read_desired_state(data) == kept_desired(home):
        return False
    write_atomically(home / DESIRED_FILE, data)
    return True


def live_connection(
    home: Path, settings: DeviceSettings, slots: ModelSlots, reports: EventReports, handlers: list[Handler]
) -> LiveConnection:
    """With the gateway of the settings' server."""
    attributes = device_attributes(settings.attributes)
    identity = DeviceIdentity(home / "identity", HttpPost(settings.server))
    return LiveConnection(
        home,
        settings.server,
        lambda: identity.credential().token,
        lambda: to_plain(reported_state(slots, attributes)),
        lambda plain: keep_desired(home, plain),
        reports,
        handlers,
    )


def reported_state(slots: ModelSlots, attributes: Mapping[str, Attribute]) -> ReportedState:
    models = {name: _model_report(slots.state(name)) for name in slots.names()}
    return ReportedState(software_version(), runtime_version("litert"), attributes, models)


@cache
def runtime_version(engine: str) -> str:
    """Raises Unsupported, UnknownEngine."""
    from lykeion.engines.running import find_kind

    kind = find_kind(engine)
    kind.imported()
    return kind.version


def _wanted(settings: DeviceSettings, desired: DesiredState | None) -> Wanted:
    """What the server says and nothing else; without a server the newest versions of the settings' models."""
    if settings.server:
        return Wanted(settings.device_class, dict(desired.targets) if desired else {})
    return Wanted(settings.device_class, dict.fromkeys(settings.models, ""))


def _update_round(
    home: Path, settings: DeviceSettings, slots: ModelSlots, reports: EventReports, conditions: ConditionsHook
) -> UpdateRound:
    address = settings.repository.rstrip("/")
    try:
        root = read_bounded(home / ROOT_FILE, NotFound, "root", limit=_MAX_ROOT_BYTES)
    except NotFound as error:
        raise UpdateUnavailable(f"no root of the repository is trusted here: {error}") from None
    trusted = TrustedMetadata(home / "trust", root, BUILT, slots.files)

    def may_fetch(offer: Offer) -> None:
        if why := hindrance(settings.rules, conditions()):
            raise HinderedUpdate(f"{offer.target.path} waits: {why}")

    def trying(offer: Offer, content: bytes, companion: bytes) -> None:
        report = ModelTrial()(offer.target, content, companion)
        target = offer.target
        told = {"model": target.model, "version": target.version, "engine": target.engine, "threads": target.threads}
        measured = {"load_ms": round(report.load_ms, 3), "rough_ms": round(report.speed.run_ms, 3)}
        reports.add("tried", told | measured | {"memory_bytes": report.memory_bytes}, "health")
        if report.speed.slow:
            speed = {"value": round(report.speed.run_ms, 3), "class_ms": round(report.speed.class_ms, 3)}
            reports.add("slow", told | speed, "health")

    update = ModelUpdate(slots, HttpFiles(f"{address}/targets"), trying, Pace(settings.bandwidth_bytes_s), may_fetch)
    return UpdateRound(
        trusted, HttpFiles(f"{address}/metadata"), slots, update, runtime_version, lambda: datetime.now(UTC)
    )


def _report_change(reports: EventReports, name: str, before: SlotState, after: SlotState) -> None:
    running = after.running
    if running and (before.running is None or not before.running.offer.same_as(running.offer)):
        reports.add("activated", {"model": name, "version": running.offer.target.version}, "health")
    for each in after.failed:
        if each not in before.failed:
            fields = {"model": name, "version": each.version, "cause": each.cause}
            reports.add("given_up", fields, "health")


def _described(state: SlotState) -> str:
    """Such as ``v3 runs, confirmed; v4 was given up: it crashes``."""
    parts = [f"v{state.running.offer.target.version} runs, {state.running.step}"] if state.running else []
    parts += [f"v{state.coming.offer.target.version} is {state.coming.step}"] if state.coming else []
    parts += [f"v{each.version} was given up: {each.cause}" for each in state.failed[-1:]]
    return "; ".join(parts) or "no version"


def _model_report(state: SlotState) -> ModelReport:
    shown = state.coming or state.running
    last = state.failed[-1] if state.failed else None
    report = ModelReport(step=shown.step if shown else "idle")
    if state.running:
        target = state.running.offer.target
        report = replace(report, running=target.version, file=target.file)
    return replace(report, failed=last.version, cause=_printable(last.cause)) if last else report


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
