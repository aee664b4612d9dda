"""The reports of an interval as a rollout's controller needs them: who was at risk, and to whom it happened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.device_service.desired import PublishedCatalogue, satisfies_where
from lykeion.delivery.device_service.records import FleetRecord, RolloutFirsts, all_devices, as_fleet_device
from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.rollouts import (
    FleetDevice,
    FleetObservation,
    HaltRule,
    Rollout,
    has_ended,
    is_drawn,
    is_for,
    may_move,
    wave_of,
)


@dataclass(frozen=True)
class _Member:
    """``assigned_at`` is when its wave began, None if it has not; ``drawn`` whether its bucket decided that."""

    record: FleetRecord
    assigned_at: float | None
    drawn: bool
    running: int
    moved: bool
    may_move: bool

    @property
    def reported(self) -> bool:
        return self.assigned_at is not None and self.record.seen_at >= self.assigned_at

    @property
    def reachable(self) -> bool:
        return self.moved or (self.reported and self.may_move)


def observe(
    store: FleetStore, catalogue: PublishedCatalogue, rollout: Rollout, since: datetime, until: datetime
) -> FleetObservation:
    """Of the devices that the rollout is for and that are neither revoked nor decommissioned."""
    members = [_member(record, rollout, device) for record, device in _fleet(store, catalogue, rollout)]
    assigned = [each for each in members if each.assigned_at is not None]
    firsts = RolloutFirsts(store, rollout, since, until)
    entry = catalogue.models().get(rollout.spec.model)
    rules = () if has_ended(rollout.status) else rollout.spec.halt_when
    tables = {rule: _table(firsts, rule, members) for rule in rules}
    return FleetObservation(
        until=until,
        fleet=len(members),
        assigned=len(assigned),
        reported=sum(each.reported for each in assigned),
        reachable=sum(each.reachable for each in assigned),
        moved=sum(each.moved for each in assigned),
        tables=tables,
        running=Counter(each.running for each in assigned),
        revoked=rollout.status.number in (entry.revoked if entry else ()),
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
    running = device.running.get(spec.model, 0)
    moved = assigned_at is not None and running == status.number
    active = record.state == "active" and may_move(spec, replace(device, local_hour=None))
    return _Member(record, assigned_at, is_drawn(spec, device), running, moved, active)


def _table(firsts: RolloutFirsts, rule: HaltRule, members: Sequence[_Member]) -> FailureTable:
    if rule.above is not None:
        return _above(firsts.values(rule), rule.above, members)
    if rule.share is not None:
        return _share(firsts, rule, members)
    since, spec = firsts.since.timestamp(), firsts.rollout.spec
    if rule.metric == "silence":
        happened = firsts.silences({each.record.id: each.record.seen_at for each in members})
        reporting = [each for each in members if each.record.seen_at + spec.silence_seconds >= since]
    else:
        happened = firsts.times(rule)
        reporting = [each for each in members if each.record.seen_at >= since]
    at_risk = [each for each in reporting if each.drawn and not _before(happened, each, firsts.since)]
    own = [each for each in at_risk if each.assigned_at is not None]
    others = [each for each in at_risk if each.assigned_at is None]
    return FailureTable(
        len(own),
        sum(_before(happened, each, firsts.until) for each in own),
        len(others),
        sum(_before(happened, each, firsts.until) for each in others),
    )


def _share(firsts: RolloutFirsts, rule: HaltRule, members: Sequence[_Member]) -> FailureTable:
    """Of devices since they were assigned: what another version did before does not count."""
    assigned = {each.record.id: each.assigned_at for each in members if each.assigned_at is not None}
    if rule.metric == "silence":
        silent = [each.record for each in members if each.assigned_at and each.record.seen_at >= each.assigned_at]
        limit = firsts.until.timestamp() - firsts.rollout.spec.silence_seconds
        return FailureTable(len(assigned), sum(each.seen_at < limit for each in silent), 0, 0)
    happened = firsts.since_assigned(rule, assigned)
    return FailureTable(len(assigned), sum(each in assigned for each in happened), 0, 0)


def _before(happened: Mapping[str, float], member: _Member, end: datetime) -> bool:
    at = happened.get(member.record.id)
    return at is not None and at < end.timestamp()


def _above(values: Mapping[str, float], limit: float, members: Sequence[_Member]) -> FailureTable:
    known = [values[each.record.id] for each in members if each.moved and each.record.id in values]
    return FailureTable(len(known), sum(each > limit for each in known), 0, 0)
