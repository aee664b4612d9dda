"""The device client: its models, what they see, what it reports, and its updates."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lykeion.core import LykeionError, NotFound
from lykeion.device.device_conditions import ConditionsHook, DeviceConditions
from lykeion.device.fleet.device_log import DeviceLog
from lykeion.device.fleet.event_reports import EventFields, EventKind, EventReports
from lykeion.device.fleet.message_fields import Attribute
from lykeion.device.inference.crash_marks import CrashMarks
from lykeion.litert import ModelError
from lykeion.vision import Box

from .device_settings import DeviceSettings
from .errors import RecordError
from .inference.loaded_model import LoadedModel, Photo, PhotoLabel
from .inference.run_times import RunTimes
from .photo_search import PHOTO_SIDE, PhotoMustStay, PhotoSearch, SpaceChanged
from .slots.model_slots import ModelSlots
from .slots.slot_state import SlotState, fallen_back, ran

if TYPE_CHECKING:
    from lykeion.device.updates.update_round import RoundOutcome

    from .inference.detections import Detection
    from .live.live_connection import Handler, LiveConnection

Result = TypeVar("Result")


class NoModel(NotFound):
    """The device has no model of that name that may run."""


@dataclass(slots=True)
class _Used:
    """A model that this process has loaded; ``confirmed`` is kept up to date."""

    model: LoadedModel
    confirmed: bool
    times: RunTimes = field(default_factory=RunTimes)


class Device:
    """The device whose files are in ``home``. Safe among threads.

    Models are loaded when they are first used, and their next versions after ``update``. Each load of a version that
    is not confirmed yet counts as a start, each use as a run.
    """

    def __init__(self, home: Path, *, conditions: ConditionsHook = DeviceConditions) -> None:
        """Raises DeviceSettingsError if the device is not set up."""
        self.home, self.settings, self._conditions = home, DeviceSettings.read(home), conditions
        self.slots = ModelSlots(home, quota_bytes=self.settings.quota_bytes)
        self.reports = EventReports(home / "reports.db")
        self._log = DeviceLog(home / "device.log")
        self._marks = CrashMarks(home / "used")
        self._used: dict[str, _Used] = {}
        self._turn = threading.Lock()
        self._handlers: list[Handler] = []
        self._live: LiveConnection | None = None
        self._exposed: set[tuple[str, Attribute]] = set()
        self._search = PhotoSearch(self.settings.search) if self.settings.search else None

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Models are not in use any more; what the process ends without is counted as a crash."""
        if self._live:
            self._live.close()
        self._marks.close()
        self.reports.close()

    def update(self) -> "RoundOutcome":
        """One round: reports, asks what is wanted, fetches, tries and activates. What fails is in the outcome and is
        reported; what runs keeps running."""
        from lykeion.device.updates.device_rounds import run_round

        live = self.is_live
        outcome = run_round(self.home, self.settings, self.slots, self.reports, self._conditions, self._log, live)
        if live and self._live:
            self._live.tell_state()
        with self._turn:
            self._used = {name: used for name, used in self._used.items() if self._is_current(name, used)}
        return outcome

    def go_live(self) -> None:
        """Stay connected with the server's gateway from now on, in a thread, for what ``on`` hears."""
        from lykeion.device.updates.device_rounds import live_connection

        if not self.settings.server:
            raise NotFound("this device has no server; enrol it with a token: lykeion device enroll URL TOKEN")
        if self._live is None:
            self._live = live_connection(self.home, self.settings, self.slots, self.reports, self._handlers)

    @property
    def is_live(self) -> bool:
        return self._live is not None and self._live.open

    def on(self, handler: "Handler") -> None:
        """Call ``handler`` with each message, in the thread of the connection. What it returns for a command is sent
        back as done; None, an error, or no handler, as not done. After a crash a command may come a second time."""
        self._handlers.append(handler)

    def present(self, body: Any) -> None:
        """Say how the device is just now, in a few words of your own, while it is live. The last one counts, and the
        operator sees it: lykeion delivery devices show."""
        if self._live:
            self._live.present(body)

    def models(self) -> dict[str, SlotState]:
        """By name, what is in the slots."""
        return {name: self.slots.state(name) for name in self.slots.names()}

    def model(self, name: str = "") -> LoadedModel:
        """A model that runs here; the only one if there is no other. Raises NoModel, SlotError."""
        return self._use(name).model

    def embed(self, photo: Photo, *, model: str = "", box: Box | None = None) -> np.ndarray:
        """The photo's vector, float32 (dimension,) of length 1. Raises NoModel, PhotoError, ModelError."""
        return self._run(model, lambda used: used.embed(photo, box))

    def classify(self, photo: Photo, *, model: str = "", k: int = 5, box: Box | None = None) -> list[PhotoLabel]:
        """The best ``k`` labels. Raises NoModel, Unsupported, PhotoError, ModelError."""
        return self._run(model, lambda used: used.classify(photo, k, box))

    def detect(self, photo: Photo, *, model: str = "", least_score: float = 0.5) -> "list[Detection]":
        """What is seen where, best first; a ``box`` may be given to the other calls.

        Raises NoModel, Unsupported, PhotoError, ModelError.
        """
        return self._run(model, lambda used: used.detect(photo, least_score))

    def search(
        self, photo: Photo, *, model: str = "", k: int = 20, where: str | None = None, box: Box | None = None
    ) -> dict[str, Any]:
        """The service's answer: ``results``, best first; and ``parts_ms``, what embedding (or making the photo) and
        asking took. The vector is sent if the index is of the model's space; else the photo, if photos may leave.

        Raises SearchUnavailable, PhotoMustStay, and as ``embed`` does.
        """
        used = self.model(model)
        if self._search is None:
            return self._search_live(used, photo, model, k, where, box)
        space, began = used.space, time.perf_counter()
        if space and space == self._search.space():
            vector, made = self.embed(photo, model=model, box=box), time.perf_counter()
            try:
                answer = self._search.by_vector(vector, space, k, where)
                return answer | {"parts_ms": {"embed": _ms(began, made), "ask": _ms(made)}}
            except SpaceChanged:
                self._search.space(again=True)
        if not self.settings.photos_may_leave:
            raise PhotoMustStay("the index is of another space than this device's model, and photos may not leave it")
        small, made = used.decoded(photo, box).thumbnail(PHOTO_SIDE), time.perf_counter()
        answer = self._search.by_photo(small, k, where)
        return answer | {"parts_ms": {"photo": _ms(began, made), "ask": _ms(made)}}

    def _search_live(
        self, used: LoadedModel, photo: Photo, model: str, k: int, where: str | None, box: Box | None
    ) -> dict[str, Any]:
        if self._live is None:
            raise NotFound("no search service is set for this device, and it is not live")
        query: dict[str, Any] = {"k": k, "where": where}
        if used.space:
            vector = self.embed(photo, model=model, box=box)
            query |= {"vector": vector.astype("<f4").tobytes(), "space": used.space}
        elif self.settings.photos_may_leave:
            query["photo"] = used.decoded(photo, box).thumbnail(PHOTO_SIDE)
        else:
            raise PhotoMustStay("this device's model makes no vectors, and photos may not leave it")
        return self._live.search(query)

    def report(self, event: str, fields: EventFields | None = None, kind: EventKind = "event") -> None:
        """Kept until it can be sent. Raises EventError."""
        self.reports.add(event, fields, kind)

    def log(self, text: str) -> None:
        """A line for the log that the fleet's operator may ask for; what may be of a person is left out."""
        self._log.add(text)

    @property
    def flags(self) -> Mapping[str, Attribute]:
        """What the server last said, also without a network; empty before."""
        from lykeion.device.updates.device_rounds import kept_desired

        desired = kept_desired(self.home)
        return desired.flags if desired else {}

    def variant(self, experiment: str) -> Attribute | None:
        """The arm of an experiment that the server has assigned to this device, or the flag's value; None if there
        is none. The first use in this process is reported as an exposure."""
        value = self.flags.get(experiment)
        if value is not None and (experiment, value) not in self._exposed:
            self._exposed.add((experiment, value))
            self.reports.add("exposure", {"experiment": experiment, "variant": value}, "exposure")
        return value

    def _run(self, name: str, work: Callable[[LoadedModel], Result]) -> Result:
        used = self._use(name)
        began = time.perf_counter()
        try:
            result = work(used.model)
        except ModelError as error:
            self._health("run_failed", used.model, cause=str(error)[:300])
            raise
        if summary := used.times.add(1e3 * (time.perf_counter() - began)):
            self._health("run_times", used.model, **summary)
        if not used.confirmed:
            self._count_run(used)
        return result

    def _count_run(self, used: _Used) -> None:
        target = used.model.target
        running = self.slots.change(target.model, ran).running
        used.confirmed = bool(running and running.step == "confirmed")
        if used.confirmed:
            self._health("confirmed", used.model)

    def _use(self, name: str) -> _Used:
        with self._turn:
            name = name or self._only()
            if name not in self._used:
                self._used[name] = self._loaded(name)
            return self._used[name]

    def _loaded(self, name: str) -> _Used:
        """The version to run now; one that does not load is given up for the last that was confirmed."""
        known = self.slots.state(name).failed
        try:
            return self._started(name)
        finally:
            for each in self.slots.state(name).failed:
                if each not in known:
                    fields = {"model": name, "version": each.version, "cause": each.cause}
                    self._log.add(f"{name} v{each.version}: given_up {each.cause}")
                    self.reports.add("given_up", fields, "health")

    def _started(self, name: str) -> _Used:
        while started := self.slots.start(name):
            for version in self._marks.begin(name, started.offer.target.version):
                self._log.add(f"{name} v{version}: crash")
                self.reports.add("crash", {"model": name, "version": version}, "health")
            try:
                model = LoadedModel(started.offer.target, started.content, started.companion)
            except LykeionError as error:
                if not isinstance(error, ModelError | RecordError):
                    raise
                self.slots.change(name, partial(fallen_back, cause=str(error)))
                continue
            return _Used(model, started.confirmed)
        failed = self.slots.state(name).failed
        why = f"; version {failed[-1].version} was given up: {failed[-1].cause}" if failed else ""
        raise NoModel(f"no version of {name[:64]!r} may run on this device{why}")

    def _only(self) -> str:
        names = self.slots.names()
        if len(names) != 1:
            raise NoModel(f"name a model: there are {', '.join(names)}" if names else "there is no model here yet")
        return names[0]

    def _is_current(self, name: str, used: _Used) -> bool:
        running = self.slots.state(name).running
        return running is not None and running.offer.target == used.model.target

    def _health(self, event: str, model: LoadedModel, **fields: str | int | float) -> None:
        target = model.target
        self._log.add(f"{target.model} v{target.version}: {event} {fields or ''}")
        self.reports.add(event, {"model": target.model, "version": target.version, **fields}, "health")


def _ms(began: float, ended: float | None = None) -> float:
    return round(1e3 * ((time.perf_counter() if ended is None else ended) - began), 3)
