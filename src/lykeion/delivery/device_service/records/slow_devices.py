"""Devices on which a version runs slower than their class was measured, as they found by a benchmark of their own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lykeion.delivery.device_service.store import FleetStore


@dataclass(frozen=True)
class SlowVersion:
    """``run_ms`` is the fastest run on the device, ``class_ms`` that of its class' bench report."""

    version: int
    run_ms: float
    class_ms: float


def slow_versions(store: FleetStore, device: str = "") -> dict[tuple[str, str], SlowVersion]:
    """By device and model, of the versions that run there now; of one device if it is named."""
    rows = store.rows(
        "SELECT events.device, events.model, events.fields, models.running FROM events"
        " JOIN models ON models.device = events.device AND models.model = events.model"
        " WHERE events.name = 'slow' AND (? = '' OR models.device = ?) ORDER BY events.at",
        (device, device),
    )
    found: dict[tuple[str, str], SlowVersion] = {}
    for row in rows:
        slow = _read(json.loads(row["fields"]))
        if slow and slow.version == row["running"]:
            found[row["device"], row["model"]] = slow
    return found


def _read(fields: Mapping[str, Any]) -> SlowVersion | None:
    """None of an event of an app that has the same name."""
    version, run_ms, class_ms = (fields.get(name) for name in ("version", "value", "class_ms"))
    if isinstance(version, int) and isinstance(run_ms, int | float) and isinstance(class_ms, int | float):
        return SlowVersion(version, float(run_ms), float(class_ms))
    return None
