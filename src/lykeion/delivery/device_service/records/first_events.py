"""When something first happened to each device in a rollout: kept, so that a look reads only what is new."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lykeion.delivery.device_service.store import FleetStore, FleetTransaction
from lykeion.delivery.rollouts import HaltRule, Rollout

from .device_events import KEPT_EVENTS_S

METRIC_EVENTS: Mapping[str, Sequence[str]] = {
    "crash": ("crash", "given_up"),
    "load_failure": ("given_up",),
    "run_failure": ("run_failed",),
    "ms": ("run_times",),
}
"""The events of devices that a metric counts; others are events of the app with the metric's name."""
LATE_S = 600.0
"""An event may be written so much later than its time says; it then counts in the interval in which it is found."""
_MARK = ""
"""The device under which it is kept until when events were read."""

Found = tuple[str, float, float | None]
"""A device, when, and the value."""


@dataclass(frozen=True)
class RolloutFirsts:
    """Of a rollout, in the interval from ``since`` to ``until``; each call may be repeated."""

    store: FleetStore
    rollout: Rollout
    since: datetime
    until: datetime

    def times(self, rule: HaltRule) -> Mapping[str, float]:
        """When a metric was first reported, by device, whatever version it ran."""

        def read(now: FleetTransaction, start: float) -> Iterable[Found]:
            rows = self._events(now, "SELECT device, MIN(at) AS at", rule, start, "GROUP BY device")
            return [(row["device"], row["at"], None) for row in rows]

        return {device: at for device, (at, _) in self._kept(rule.metric, read).items()}

    def since_assigned(self, rule: HaltRule, assigned: Mapping[str, float]) -> Mapping[str, float]:
        """Devices to which it happened by the version that the rollout moves, once they were assigned."""

        def read(now: FleetTransaction, start: float) -> Iterable[Found]:
            rows = self._events(
                now, "SELECT device, MAX(at) AS at", rule, start, f"{self._of_version} GROUP BY device"
            )
            return [
                (row["device"], row["at"], None)
                for row in rows
                if row["device"] in assigned and row["at"] >= assigned[row["device"]]
            ]

        return {device: at for device, (at, _) in self._kept(f"{rule.metric} of the version", read).items()}

    def values(self, rule: HaltRule) -> Mapping[str, float]:
        """The quantile of a metric in each device's first report of it by the version."""
        name = f"p{100 * rule.quantile:.0f}_{rule.metric}"

        def read(now: FleetTransaction, start: float) -> Iterable[Found]:
            rows = self._events(
                now, "SELECT device, at, fields", rule, start, f"{self._of_version} ORDER BY at, number"
            )
            return list(_valued(rows, name))

        return {device: value for device, (_, value) in self._kept(name, read).items() if value is not None}

    def silences(self, seen_at: Mapping[str, float]) -> Mapping[str, float]:
        """When a device fell silent for the first time: it may report again later."""
        silence_s = self.rollout.spec.silence_seconds
        begin, end = self.since.timestamp(), self.until.timestamp()

        def read(now: FleetTransaction, start: float) -> Iterable[Found]:
            ends = ((device, at + silence_s, None) for device, at in seen_at.items())
            return [each for each in ends if begin <= each[1] < end]

        return {device: at for device, (at, _) in self._kept("silence", read).items()}

    @property
    def _of_version(self) -> str:
        return f"AND (version IS NULL OR version = {self.rollout.status.number:d})"

    def _kept(
        self, measure: str, read: Callable[[FleetTransaction, float], Iterable[Found]]
    ) -> dict[str, tuple[float, float | None]]:
        """Those that were kept before and those of ``read``, from where the last look ended, or this interval begins:
        the clock may have been ahead at the last look."""
        uid, end = self.rollout.metadata.uid, self.until.timestamp()
        with self.store.transaction() as now:
            kept = _rows(now, uid, measure)
            mark = min(kept.pop(_MARK)[0], self.since.timestamp()) if _MARK in kept else None
            begun = _begun(self.rollout)
            start = begun if mark is None else max(begun, mark - LATE_S)
            for device, at, value in read(now, start):
                if device not in kept:
                    kept[device] = (at if mark is None else max(at, mark), value)
                    _insert(now, uid, measure, device, *kept[device])
            now.change("DELETE FROM firsts WHERE rollout = ? AND measure = ? AND device = ?", (uid, measure, _MARK))
            _insert(now, uid, measure, _MARK, end, None)
        return kept

    def _events(self, now: FleetTransaction, select: str, rule: HaltRule, start: float, rest: str) -> list[Any]:
        names = METRIC_EVENTS.get(rule.metric, (rule.metric,))
        marks = ", ".join("?" * len(names))
        where = f"FROM events WHERE name IN ({marks}) AND model IN ('', ?) AND at >= ? AND at < ?"
        return now.rows(f"{select} {where} {rest}", (*names, self.rollout.spec.model, start, self.until.timestamp()))


def forget_rollouts(store: FleetStore, kept: Iterable[str], at: float) -> int:
    """What was kept of rollouts but those with these uids, and those that another server of the store looks at."""
    with store.transaction() as now:
        old = now.rows("SELECT rollout FROM firsts GROUP BY rollout HAVING MAX(at) < ?", (at - KEPT_EVENTS_S,))
        gone = {row["rollout"] for row in old} - set(kept)
        return sum(now.change("DELETE FROM firsts WHERE rollout = ?", (each,)) for each in gone)


def _rows(now: FleetTransaction, uid: str, measure: str) -> dict[str, tuple[float, float | None]]:
    rows = now.rows("SELECT device, at, value FROM firsts WHERE rollout = ? AND measure = ?", (uid, measure))
    return {row["device"]: (row["at"], row["value"]) for row in rows}


def _insert(now: FleetTransaction, uid: str, measure: str, device: str, at: float, value: float | None) -> None:
    now.change(
        "INSERT INTO firsts (rollout, measure, device, at, value) VALUES (?, ?, ?, ?, ?)",
        (uid, measure, device, at, value),
    )


def _valued(rows: Iterable[Any], name: str) -> Iterable[Found]:
    for row in rows:
        fields: dict[str, Any] = json.loads(row["fields"])
        value = fields.get(name, fields.get("value"))
        if isinstance(value, int | float):
            yield row["device"], row["at"], float(value)


def _begun(rollout: Rollout) -> float:
    """When its first wave began: what happened before says nothing of it."""
    times = rollout.status.began or (rollout.metadata.creation_timestamp,)
    return times[0].timestamp() if times[0] else 0.0
