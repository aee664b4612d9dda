"""Devices as they reported last."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lykeion.delivery.device_service.store import FleetStore, FleetTransaction
from lykeion.delivery.rollouts import FleetDevice
from lykeion.device import ReportedState

from .device_admission import NoSuchDevice


@dataclass(frozen=True)
class FleetRecord:
    """A device as the server knows it. ``running`` has the version by model, 0 for none."""

    id: str
    state: str
    enrolled_at: float
    seen_at: float
    software: str
    runtime: str
    attributes: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    pins: Mapping[str, int]
    clone_at: float | None = None


def note_state(store: FleetStore, device: str, state: ReportedState, at: float) -> None:
    """Keep what a device says of itself. ``since`` of a model changes with what it runs."""
    with store.transaction() as now:
        keep_state(now, device, state, at)


def keep_state(now: FleetTransaction, device: str, state: ReportedState, at: float) -> None:
    now.change(
        "UPDATE devices SET seen_at = ?, software = ?, runtime = ?, attributes = ? WHERE id = ?",
        (at, state.software, state.runtime, json.dumps(dict(state.attributes)), device),
    )
    for model, each in state.models.items():
        now.change(
            "INSERT INTO models (device, model, running, file, step, failed, cause, since)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, model) DO UPDATE SET"
            " since = CASE WHEN models.running = excluded.running THEN models.since ELSE excluded.since END,"
            " running = excluded.running, file = excluded.file, step = excluded.step,"
            " failed = excluded.failed, cause = excluded.cause",
            (device, model, each.running, each.file, each.step, each.failed, each.cause, at),
        )
    gone = [row["model"] for row in now.rows("SELECT model FROM models WHERE device = ?", (device,))]
    for model in set(gone) - set(state.models):
        now.change("DELETE FROM models WHERE device = ? AND model = ?", (device, model))


def pin(store: FleetStore, device: str, model: str, version: int | None, who: str, at: float) -> None:
    """A version for one device, whatever rollouts say; None takes the pin away. Raises NoSuchDevice."""
    with store.transaction() as now:
        if not now.rows("SELECT id FROM devices WHERE id = ?", (device,)):
            raise NoSuchDevice(f"there is no device {device[:80]!r}")
        now.change("DELETE FROM pins WHERE device = ? AND model = ?", (device, model))
        if version is not None:
            now.change("INSERT INTO pins (device, model, version) VALUES (?, ?, ?)", (device, model, version))
        now.record(
            at, who, f"{device}: {model} is {'no longer pinned' if version is None else f'pinned to v{version}'}"
        )


def all_devices(store: FleetStore) -> list[FleetRecord]:
    """Ordered by name."""
    return _records(store, store.rows("SELECT * FROM devices ORDER BY id"))


def one_device(store: FleetStore, device: str) -> FleetRecord:
    """Raises NoSuchDevice."""
    found = _records(store, store.rows("SELECT * FROM devices WHERE id = ?", (device,)), device)
    if not found:
        raise NoSuchDevice(f"there is no device {device[:80]!r}")
    return found[0]


def as_fleet_device(record: FleetRecord, device_class: str) -> FleetDevice:
    running: dict[str, int] = {model: each["running"] for model, each in record.models.items() if each["running"]}
    hour = record.attributes.get("local_hour")
    local_hour = hour if isinstance(hour, int) and not isinstance(hour, bool) and 0 <= hour < 24 else None
    return FleetDevice(record.id, device_class, record.attributes, running, local_hour)


def _records(store: FleetStore, devices: Iterable[sqlite3.Row], only: str = "") -> list[FleetRecord]:
    where, values = ("WHERE device = ?", (only,)) if only else ("", ())
    models: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in store.rows(f"SELECT * FROM models {where}", values):  # noqa: S608 - one of two constants
        models.setdefault(row["device"], {})[row["model"]] = dict(row)
    pins: dict[str, dict[str, int]] = {}
    for row in store.rows(f"SELECT * FROM pins {where}", values):  # noqa: S608
        pins.setdefault(row["device"], {})[row["model"]] = row["version"]
    return [
        FleetRecord(
            id=row["id"],
            state=row["state"],
            enrolled_at=row["enrolled_at"],
            seen_at=row["seen_at"],
            software=row["software"],
            runtime=row["runtime"],
            attributes=json.loads(row["attributes"]),
            models=models.get(row["id"], {}),
            pins=pins.get(row["id"], {}),
            clone_at=row["clone_at"],
        )
        for row in devices
    ]
