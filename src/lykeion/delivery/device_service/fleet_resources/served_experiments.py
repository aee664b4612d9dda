"""Experiments of a fleet: those that run, what their controller looks up, and events of devices for their log."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lykeion.control import Answers, ResourceStore
from lykeion.core import NotFound, Unavailable
from lykeion.core.files import write_atomically, writing
from lykeion.delivery.device_service.records import METRIC_EVENTS, all_devices, forget_reports
from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.experiments import (
    EXPERIMENT,
    EarlierExperiment,
    Experiment,
    ExperimentLook,
    ExperimentObservation,
    UnfitForFlag,
    has_stopped,
    observe_experiment,
)
from lykeion.delivery.experiments.events import MAX_LINE_BYTES, MAX_NUMBER, EventLog, EventLogError, UnitEvent
from lykeion.delivery.flags import FlagExperiments

from .experiments_on_flags import flag_experiments, unfit_for_flag
from .followed_resources import FollowedResources, age_of

OVERLAP_S = 30.0
"""Events of so long ago are copied again: they may have been written after later ones. They count once."""
COPIED_AT_ONCE = 20_000
_NEXT = (
    "SELECT device, number, name, at, sent_at, fields FROM events WHERE (at, device, number, sent_at) > (?, ?, ?, ?)"
    " AND name <> '' ORDER BY at, device, number, sent_at LIMIT ?"
)
COMPACT_S = 3_600.0


class ServedExperiments:
    """``log`` is the fleet's log of events."""

    def __init__(self, fleet: FleetStore, log: EventLog) -> None:
        self._fleet, self._log = fleet, log
        self._followed = FollowedResources[Experiment](EXPERIMENT)

    def running(self) -> Sequence[Experiment]:
        """From the oldest. Raises NotListed, or a device would change its version until they are read."""
        return [each for each in self._followed.ordered() if each.status.state == "Running"]

    def on_flags(self) -> FlagExperiments:
        """Raises NotListed, or clients would lose their rules until they are read."""
        return flag_experiments(self._followed.ordered())

    def answers(self) -> Answers:
        async def look(asked: ExperimentLook) -> ExperimentObservation:
            experiment = self._followed.by_uid.get(asked.experiment_uid)
            if experiment is None:
                raise NotFound(f"there is no experiment with the uid {asked.experiment_uid}")
            await asyncio.to_thread(copy_events, self._fleet, self._log)
            return await asyncio.to_thread(observe_experiment, experiment, self._log, asked.until, asked.counted)

        async def earlier(asked: EarlierExperiment) -> str:
            for each in sorted(self._followed.by_uid.values(), key=age_of):
                if each.metadata.uid == asked.experiment_uid:
                    return ""
                waits = each.status.reason in ("NotPublished", "UnfitForFlag")
                if subject_of(each) == asked.subject and not has_stopped(each.status) and not waits:
                    return each.metadata.name
            return ""

        async def unfit(asked: UnfitForFlag) -> str:
            return await asyncio.to_thread(unfit_for_flag, self._fleet, asked.spec)

        return {ExperimentLook: look, EarlierExperiment: earlier, UnfitForFlag: unfit}

    async def run(self, store: ResourceStore) -> None:
        await self._followed.run(store)

    async def tidy(self, now: float) -> None:
        """Copy what devices have reported, and one file for each hour that is over."""
        if self._followed.by_uid:
            with suppress(Unavailable):
                await asyncio.to_thread(copy_events, self._fleet, self._log)
                await asyncio.to_thread(self._log.compact, now - COMPACT_S)


def subject_of(experiment: Experiment) -> str:
    """What only one experiment at a time may vary for a unit."""
    return experiment.spec.model or experiment.spec.flag


def copy_events(fleet: FleetStore, log: EventLog) -> int:
    """Events of devices since the last time, to the log; the number that was copied. Raises EventLogError."""
    mark, copied = log.directory / "copied", 0
    with log.turn():  # so that no event is copied of a unit that is deleted meanwhile
        since = _marked(mark)
        last: tuple[Any, ...] = (since - OVERLAP_S, "", 0, 0.0)
        attributes: dict[str, Mapping[str, Any]] = {}
        while rows := fleet.rows(_NEXT, (*last, COPIED_AT_ONCE)):
            attributes = attributes or {each.id: each.attributes for each in all_devices(fleet)}
            log.append(each for row in rows for each in _events(row, attributes.get(row["device"], {})))
            last = tuple(rows[-1][name] for name in ("at", "device", "number", "sent_at"))
            with writing(mark, EventLogError):
                write_atomically(mark, repr(max(since, last[0])).encode())
            copied += len(rows)
    return copied


def forget_unit(fleet: FleetStore, log: EventLog, unit: str) -> int:
    """Delete the events of a unit, also those of a device that are not copied yet: how many. Raises EventLogError."""
    waiting = forget_reports(fleet, unit)
    return max(waiting, log.delete(unit))


def _events(row: Any, attributes: Mapping[str, Any]) -> Iterator[UnitEvent]:
    """As it is named, and by the metrics of guardrails that it counts for, as ``MODEL:METRIC``."""
    fields: dict[str, Any] = json.loads(row["fields"])
    event = _event(row, fields, attributes)
    yield event
    for metric, names in METRIC_EVENTS.items():
        if event.name in names and metric != event.name:
            values = (
                {f"p{each}_ms": fields.get(f"p{each}_ms") for each in (50, 90)} if metric == "ms" else {metric: 1}
            )
            for name, value in values.items():
                if value is not None:
                    called = f"{str(fields.get('model', ''))[:64]}:{name}"
                    yield replace(event, id=f"{event.id} {name}", name=called, value=_bounded(value, 1.0))


def _event(row: Any, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> UnitEvent:
    shown = row["name"] == "exposure"
    own = {"class": str(fields["class"])} if "class" in fields else {}
    return UnitEvent(
        f"{row['number']} {row['sent_at']!r}",
        row["device"],
        row["name"],
        min(_bounded(row["sent_at"], row["at"]), row["at"]),
        row["at"],
        _bounded(fields.get("value"), 1.0),
        str(fields.get("experiment", ""))[:128],
        str(fields.get("arm", fields.get("variant", "")))[:128],
        _shown_with({**attributes, **own}, own) if shown else "{}",
    )


def _shown_with(attributes: Mapping[str, Any], own: Mapping[str, str]) -> str:
    """As of an event from a file: a device with many long attributes would fill the log by showing itself often."""
    text = json.dumps(attributes, sort_keys=True)
    return text if len(text) <= MAX_LINE_BYTES else json.dumps({name: value[:128] for name, value in own.items()})


def _bounded(value: Any, otherwise: float) -> float:
    """A number of a device, of which one that is too large would leave sums without a value."""
    return max(-MAX_NUMBER, min(float(value), MAX_NUMBER)) if isinstance(value, int | float) else otherwise


def _marked(path: Path) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 0.0
