"""The reports of an interval as a rollout's controller needs them: who was at risk, and to whom it happened."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.rollouts import FleetDevice, FleetObservation, HaltRule, Rollout, is_assigned, is_for

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
    record: FleetRecord
    treated: bool
    moved: bool


def observe(
    store: FleetStore, catalogue: PublishedCatalogue, rollout: Rollout, since: datetime, until: datetime
) -> FleetObservation:
    """Of the devices that the rollout is for and that are neither revoked nor decommissioned."""
    members = [_member(record, rollout, device) for record, device in _fleet(store, catalogue, rollout)]
    tables = {rule: _table(store, rollout, rule, members, since, until) for rule in rollout.spec.halt_when}
    return FleetObservation(
        until=until,
        fleet=len(members),
        assigned=sum(each.treated for each in members),
        moved=sum(each.moved for each in members),
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
    treated = is_assigned(rollout, device)
    runs_it = device.running.get(rollout.spec.model) == rollout.status.number
    return _Member(record, treated, treated and runs_it)


def _table(
    store: FleetStore, rollout: Rollout, rule: HaltRule, members: Sequence[_Member], since: datetime, until: datetime
) -> FailureTable:
    if rule.above is not None:
        return _above(_first_values(store, rollout, rule, until), rule.above, members)
    if rule.metric == "silence":
        silence_s = rollout.spec.silence_seconds
        happened = {each.record.id: each.record.seen_at + silence_s for each in members}
        reporting = {each.record.id for each in members}
    else:
        happened = _first_times(store, rollout, rule, until)
        reporting = {each.record.id for each in members if each.record.seen_at >= since.timestamp()}
    if rule.share is not None:
        treated = [each for each in members if each.treated]
        return FailureTable(len(treated), sum(_before(happened, each, until) for each in treated), 0, 0)
    at_risk = [each for each in members if each.record.id in reporting and not _before(happened, each, since)]
    own = [each for each in at_risk if each.treated]
    others = [each for each in at_risk if not each.treated]
    return FailureTable(
        len(own),
        sum(_before(happened, each, until) for each in own),
        len(others),
        sum(_before(happened, each, until) for each in others),
    )


def _before(happened: Mapping[str, float], member: _Member, end: datetime) -> bool:
    at = happened.get(member.record.id)
    return at is not None and at < end.timestamp()


def _first_times(store: FleetStore, rollout: Rollout, rule: HaltRule, until: datetime) -> dict[str, float]:
    """When a metric was first reported in the rollout, by device."""
    found: dict[str, float] = {}
    for row in reversed(_events(store, rollout, rule, until)):
        found[row["device"]] = row["at"]
    return found


def _first_values(store: FleetStore, rollout: Rollout, rule: HaltRule, until: datetime) -> dict[str, float]:
    """The quantile of a metric in each device's first report of it by the version, by device."""
    number = rollout.status.number
    found: dict[str, float] = {}
    for row in reversed(_events(store, rollout, rule, until)):
        fields: dict[str, Any] = json.loads(row["fields"])
        value = fields.get(f"p{100 * rule.quantile:.0f}_{rule.metric}", fields.get("value"))
        if isinstance(value, int | float) and fields.get("version", number) == number:
            found[row["device"]] = float(value)
    return found


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
