"""Which engine runs a model here, and how, by measurement; remembered for this machine, model and these engines."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lykeion.core import (
    SILENT,
    NotFound,
    cache_directory,
    core_count,
    digest_bytes,
    digest_json,
    fitting,
    read_json,
    write_atomically,
)
from lykeion.engines import ModelError
from lykeion.engines.choosing import ModelFile, measure
from lykeion.engines.running import (
    Candidate,
    Kind,
    Plan,
    Trial,
    UnknownEngine,
    encoded,
    find_kind,
    noise,
    this_machine,
    try_models,
)

from .row_queue import RowPlan

BATCHES = (2, 4, 8, 16, 32)
MAX_THREADS = 4
BATCH_GAIN, THREADS_GAIN = 0.95, 0.75
"""Batches are used if they take at most this share of the time; several threads for one request, which take more
processor time than one, if they take at most that."""
ONE_THREAD = (1, 1, 1)
"""Each engine is loaded and timed so often; the shortest time counts."""
_PLAN = Plan(passes=3, most=6, apart_s=0.0)


class NoChoice(NotFound):
    """No choice is remembered, or none that can be read."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """``threads`` is for a request that has the machine to itself."""

    kind: str
    threads: int = 1
    plan: RowPlan = field(default_factory=RowPlan)

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "threads": self.threads, **asdict(self.plan)})

    @classmethod
    def read(cls, path: Path) -> "EngineChoice":
        """Raises NoChoice, UnknownEngine."""
        plain = read_json(path, NoChoice, "choice of an engine")
        with fitting(NoChoice, "choice of an engine", where=f"{path}: "):
            plan = RowPlan(int(plain["together"]), int(plain["least"]))
            return cls(find_kind(plain["kind"]).name, int(plain["threads"]), plan)


@dataclass(frozen=True, slots=True)
class EngineSearch:
    """What may be chosen: one of the engines, for ``lanes`` requests at the same time, with batches of at most
    ``max_batch`` rows. ``photo`` is the shape of a photo, if the model is for photos of any size."""

    kinds: Sequence[Kind]
    lanes: int
    max_batch: int
    photo: tuple[int, ...] = ()

    def choose(self, model: ModelFile) -> EngineChoice:
        """The remembered choice, or one that is measured now, which takes seconds.

        The model, which may be malicious, is first tried in a process of its own. Raises ModelError if no engine runs
        it.
        """
        path = self._place(model)
        with suppress(NoChoice, UnknownEngine):
            return EngineChoice.read(path)
        choice = self._measure(model)
        with suppress(OSError):
            write_atomically(path, choice.to_json().encode(), durable=False)
        return choice

    def _place(self, model: ModelFile) -> Path:
        key = digest_json(
            {
                "model": digest_bytes(model.content),
                "machine": asdict(this_machine()),
                "engines": {kind.name: kind.version for kind in self.kinds},
                "lanes": self.lanes,
                "max_batch": self.max_batch,
                "photo": self.photo,
            }
        )
        return cache_directory() / "engine-choices" / f"{key.removeprefix('sha256:')}.json"

    def _measure(self, model: ModelFile) -> EngineChoice:
        tried = {kind.name: self._try(model, kind) for kind in self.kinds}
        ran = {name: first for name, first in tried.items() if not isinstance(first, ModelError)}
        if not ran:
            refusals = (each for each in tried.values() if isinstance(each, ModelError))
            raise next(refusals, ModelError(f"{model.name}: no engine is installed"))
        chosen = min(ran, key=lambda name: ran[name].one_ms)
        first = ran[chosen]
        threads = self._wide if first.wide_ms <= THREADS_GAIN * first.one_ms else 1
        return EngineChoice(chosen, threads, self._plan(model, chosen, first.at_once))

    @property
    def _wide(self) -> int:
        return min(self.lanes, MAX_THREADS)

    def _try(self, model: ModelFile, kind: Kind) -> "_Tried | ModelError":
        """In another process, so that this one loads no engine but the one that is chosen."""
        wide = (self._wide,) if self._wide > 1 and kind.threads else ()
        (runs,) = try_models(
            [Trial(model.name, model.content, (*ONE_THREAD, *wide), self.max_batch, self.photo)], kind.name
        )
        if isinstance(runs, ModelError):
            return runs
        rough = [run.rough_ms for run in runs]
        return _Tried(min(rough[: len(ONE_THREAD)]), min(rough[len(ONE_THREAD) :], default=math.inf), runs[0].at_once)

    def _plan(self, model: ModelFile, chosen: str, at_once: int) -> RowPlan:
        batches = {str(rows): _candidate(model, chosen, rows, self.photo) for rows in BATCHES if rows <= at_once}
        if not batches:
            return RowPlan()
        one = {"1": _candidate(model, chosen, 1, self.photo)}
        found = measure({**one, **batches}, reference=one["1"], threads=core_count(), plan=_PLAN, reporter=SILENT)
        return plan_rows({int(rows): found[rows].minimum_ms for rows in (*one, *batches)})


@dataclass(frozen=True, slots=True)
class _Tried:
    """Times of one row, on one thread and on several; and how many rows run at once."""

    one_ms: float
    wide_ms: float
    at_once: int


def plan_rows(times_ms: Mapping[int, float]) -> RowPlan:
    """The batch with the shortest time per row, and from how many rows on it is faster, filled up, than one row after
    another. ``times_ms`` are by rows run at once, 1 among them."""
    best = min(times_ms, key=lambda rows: times_ms[rows] / rows)
    if times_ms[best] > BATCH_GAIN * best * times_ms[1]:
        return RowPlan()
    return RowPlan(best, max(2, math.ceil(times_ms[best] / times_ms[1])))


def _candidate(model: ModelFile, name: str, rows: int, photo: tuple[int, ...]) -> Candidate:
    def ready() -> Callable[[], object]:
        engine = find_kind(name).load(model.content, name=model.name)
        return engine.ready(*encoded(engine.inputs, noise(engine.inputs, rows, photo)))

    return ready
