"""The reports of an interval as a rollout's controller needs them: who was at risk, and to whom it happened."""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.rollouts import (
    FleetDevice,
    FleetObservation,
    HaltRule,
    Rollout,
    is_drawn,
    is_for,
    may_move,
    wave_of,
)

from .desired_states import satisfies_where
from .fleet_records import FleetRecord, all_devices, as_fleet_device
from .fleet_store import FleetStore
from .published_catalogue import PublishedCatalogue

METRIC_EVENTS: Mapping[str, Sequence[str]] = {
    "crash": ("crash", "given_up"),
    "load_failure": ("given_up",),
    "run_failure": ("run_failed",),
    "ms": ("run_times",),
}
"""The events of devices that a metric counts; others are events of the app with the metric's name."""


@dataclass(frozen=True)
class _Member:
    """``assigned_at`` is when its wave began, None if it has not; ``drawn`` whether its bucket decided that."""

    record: FleetRecord
    assigned_at: float | None
    drawn: bool
    moved: bool
    may_move: bool

    @property
    def reachable(self) -> bool:
        reported = self.assigned_at is not None and self.record.seen_at >= self.assigned_at
        return self.moved or (reported and self.may_move)


def observe(
    store: FleetStore, catalogue: PublishedCatalogue, rollout: Rollout, since: datetime, until: datetime
) -> FleetObservation:
    """Of the devices that the rollout is for and that are neither revoked nor decommissioned."""
    members = [_member(record, rollout, device) for record, device in _fleet(store, catalogue, rollout)]
    assigned = [each for each in members if each.assigned_at is not None]
    tables = {rule: _table(store, rollout, rule, members, since, until) for rule in rollout.spec.halt_when}
    return FleetObservation(
        until=until,
        fleet=len(members),
        assigned=len(assigned),
        reachable=sum(each.reachable for each in assigned),
        moved=sum(each.moved for each in assigned),
        tables=tables,
    )


def _fleet(
    store: FleetStore, catalogue: PublishedCatalogue, rollout: Rollout
) -> list[tuple[FleetRecord, FleetDevice]]:
    found: list[tuple[FleetRecord, FleetDevice]] = []
    for record in all_devices(store):
        device = as_fleet_device(record, catalogue.class_of(rollout.spec.model, record.attributes))
        if record.state in ("active", "quarantined") and is_for(rollout.spec, device, satisfies_where):
            found.append((record, device))
    return found


def _member(record: FleetRecord, rollout: Rollout, device: FleetDevice) -> _Member:
    spec, status = rollout.spec, rollout.status
    wave = wave_of(spec, rollout.metadata.uid, device)
    assigned_at = status.began[wave - 1].timestamp() if wave is not None and wave <= len(status.began) else None
    moved = assigned_at is not None and device.running.get(spec.model) == status.number
    active = record.state == "active" and may_move(spec, replace(device, local_hour=None))
    return _Member(record, assigned_at, is_drawn(spec, device), moved, active)


def _table(
    store: FleetStore, rollout: Rollout, rule: HaltRule, members: Sequence[_Member], since: datetime, until: datetime
) -> FailureTable:
    if rule.above is not None:
        return _above(_first_values(store, rollout, rule, until), rule.above, members)
    if rule.share is not None:
        return _share(store, rollout, rule, members, until)
    if rule.metric == "silence":
        happened = _first_silences(store, rollout, members, since, until)
        reporting = [
            each for each in members if each.record.seen_at + rollout.spec.silence_seconds >= since.timestamp()
        ]
    else:
        happened = _first_times(store, rollout, rule, until)
        reporting = [each for each in members if each.record.seen_at >= since.timestamp()]
    at_risk = [each for each in reporting if each.drawn and not _before(happened, each, since)]
    own = [each for each in at_risk if each.assigned_at is not None]
    others = [each for each in at_risk if each.assigned_at is None]
    return FailureTable(
        len(own),
        sum(_before(happened, each, until) for each in own),
        len(others),
        sum(_before(happened, each, until) for each in others),
    )


def _share(
    store: FleetStore, rollout: Rollout, rule: HaltRule, members: Sequence[_Member], until: datetime
) -> FailureTable:
    """Of devices since they were assigned: what another version did before does not count."""
    assigned = {each.record.id: each.assigned_at for each in members if each.assigned_at is not None}
    if rule.metric == "silence":
        silent = [each.record for each in members if each.assigned_at and each.record.seen_at >= each.assigned_at]
        limit = until.timestamp() - rollout.spec.silence_seconds
        return FailureTable(len(assigned), sum(each.seen_at < limit for each in silent), 0, 0)
    happened = {
        row["device"]
        for row in _events(store, rollout, rule, until)
        if row["at"] >= assigned.get(row["device"], math.inf) and _is_of(json.loads(row["fields"]), rollout)
    }
    return FailureTable(len(assigned), len(happened), 0, 0)


def _first_silences(
    store: FleetStore, rollout: Rollout, members: Sequence[_Member], since: datetime, until: datetime
) -> dict[str, float]:
    """When a device fell silent for the first time in the rollout, which is kept: it may report again later."""
    with store.transaction() as now:
        for each in members:
            at = each.record.seen_at + rollout.spec.silence_seconds
            if since.timestamp() <= at < until.timestamp():
                now.change(
                    "INSERT INTO silences (rollout, device, at) VALUES (?, ?, ?)"
                    " ON CONFLICT (rollout, device) DO NOTHING",
                    (rollout.metadata.uid, each.record.id, at),
                )
        found = now.rows("SELECT device, at FROM silences WHERE rollout = ?", (rollout.metadata.uid,))
        return {row["device"]: row["at"] for row in found}


def _before(happened: Mapping[str, float], member: _Member, end: datetime) -> bool:
    at = happened.get(member.record.id)
    return at is not None and at < end.timestamp()


def _first_times(store: FleetStore, rollout: Rollout, rule: HaltRule, until: datetime) -> dict[str, float]:
    """When a metric was first reported in the rollout, by device, whatever version it ran."""
    found: dict[str, float] = {}
    for row in reversed(_events(store, rollout, rule, until)):
        found[row["device"]] = row["at"]
    return found


def _first_values(store: FleetStore, rollout: Rollout, rule: HaltRule, until: datetime) -> dict[str, float]:
    """The quantile of a metric in each device's first report of it by the version, by device."""
    found: dict[str, float] = {}
    for row in reversed(_events(store, rollout, rule, until)):
        fields: dict[str, Any] = json.loads(row["fields"])
        value = fields.get(f"p{100 * rule.quantile:.0f}_{rule.metric}", fields.get("value"))
        if isinstance(value, int | float) and _is_of(fields, rollout):
            found[row["device"]] = float(value)
    return found


def _is_of(fields: Mapping[str, Any], rollout: Rollout) -> bool:
    """Whether an event with these fields is of the version that the rollout moves, or does not say of which."""
    return fields.get("version", rollout.status.number) == rollout.status.number


def _events(store: FleetStore, rollout: Rollout, rule: HaltRule, until: datetime) -> list[sqlite3.Row]:
    """Those of a metric since the rollout began, the earliest first."""
    names = METRIC_EVENTS.get(rule.metric, (rule.metric,))
    marks = ", ".join("?" * len(names))
    asked = f"SELECT device, at, fields FROM events WHERE name IN ({marks})"  # noqa: S608 - question marks
    return store.rows(
        f"{asked} AND model IN ('', ?) AND at >= ? AND at < ? ORDER BY at",
        (*names, rollout.spec.model, _start(rollout), until.timestamp()),
    )


def _above(values: Mapping[str, float], limit: float, members: Sequence[_Member]) -> FailureTable:
    known = [values[each.record.id] for each in members if each.moved and each.record.id in values]
    return FailureTable(len(known), sum(each > limit for each in known), 0, 0)


def _start(rollout: Rollout) -> float:
    made = rollout.metadata.creation_timestamp
    return made.timestamp() if made else 0.0
