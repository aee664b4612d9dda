"""What may be wrong with a device, looked at one by one: each check says what it found, and what to do."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import LykeionError
from lykeion.device.fleet.enrolment import DeviceIdentity
from lykeion.device.fleet.event_reports import EventReports
from lykeion.device.updates.device_rounds import runtime_version

from .device_settings import ROOT_FILE, DeviceSettings
from .fetching.file_source import HttpFiles
from .fetching.server_calls import HttpPost
from .inference.model_trial import ModelTrial
from .slots.model_slots import RESERVE_BYTES, DamagedFile, ModelSlots


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """``found`` is what there is, or with a ``problem`` what is wrong and what to do."""

    name: str
    found: str
    problem: bool = False


def check_device(home: Path) -> Iterator[DeviceCheck]:
    """Each as soon as it is done; none changes anything, but for a credential that may be renewed."""
    try:
        settings = DeviceSettings.read(home)
    except LykeionError as error:
        yield DeviceCheck("settings", str(error), problem=True)
        return
    yield DeviceCheck(
        "settings", f"class {settings.device_class}, models {', '.join(settings.models) or 'as desired'}"
    )
    slots = ModelSlots(home, quota_bytes=settings.quota_bytes)
    checks: dict[str, Callable[[], str]] = {
        "root": lambda: _root(home),
        "runtime": lambda: f"LiteRT {runtime_version('litert')}",
        "disk": lambda: _disk(slots),
        "repository": lambda: _repository(settings),
        "credential": lambda: _credential(home, settings),
        "reports": lambda: _reports(home),
    }
    for name in slots.names():
        checks[f"model {name}"] = lambda name=name: _model(slots, name)
        checks[f"speed of {name}"] = lambda name=name: _speed(slots, name)
    for name, check in checks.items():
        try:
            yield DeviceCheck(name, check())
        except LykeionError as error:
            yield DeviceCheck(name, str(error), problem=True)


class CheckFailed(LykeionError):
    """What a check found wrong."""


def _root(home: Path) -> str:
    if not (home / ROOT_FILE).exists():
        raise CheckFailed(f"{home / ROOT_FILE} is missing: enrol this device again with --root")
    return "there"


def _disk(slots: ModelSlots) -> str:
    used, free = slots.used_bytes(), shutil.disk_usage(slots.home).free
    if free < 2 * RESERVE_BYTES:
        raise CheckFailed(f"{free:,} bytes are free, too few for a new version; what runs stays")
    return f"{used:,} of {slots.quota_bytes:,} bytes used, {free:,} free"


def _repository(settings: DeviceSettings) -> str:
    with HttpFiles(f"{settings.repository}/metadata").get("timestamp.json") as body:
        size = sum(len(chunk) for chunk in body.chunks)
    return f"{settings.repository} answers ({size:,} bytes of timestamp)"


def _credential(home: Path, settings: DeviceSettings) -> str:
    if not settings.server:
        return "not needed: there is no server"
    credential = DeviceIdentity(home / "identity", HttpPost(settings.server)).credential()
    return f"of {credential.device}"


def _reports(home: Path) -> str:
    batch = EventReports(home / "reports.db").batch()
    dropped = sum(sum(totals.values()) for totals in batch.dropped.values())
    return f"{len(batch.events):,} or more wait, {dropped:,} were dropped"


def _model(slots: ModelSlots, name: str) -> str:
    state = slots.state(name)
    if state.running is None:
        why = f": version {state.failed[-1].version}: {state.failed[-1].cause}" if state.failed else ""
        raise CheckFailed(f"no version may run{why}")
    target = state.running.offer.target
    slots.load(target.file)
    return f"version {target.version}, {state.running.step}, its file is whole"


def _speed(slots: ModelSlots, name: str) -> str:
    running = slots.state(name).running
    target = running.offer.target if running else None
    if target is None or target.companion is None:
        return "not measured: no version of it runs, or it has no card"
    try:
        content, companion = slots.load(target.file), slots.load(target.companion.digest)
    except DamagedFile:
        return "not measured: its file is not whole"
    speed = ModelTrial().speed(target, content, companion)
    if speed.slow:
        raise CheckFailed(
            f"{speed}: other work, heat or a power mode slow this device down, or {target.device_class} is not its "
            f"class (lykeion delivery explain)"
        )
    return str(speed)
