"""Which engine runs a model here, and how, by measurement; remembered for this machine, model and these engines."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
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
GAIN = 0.95
"""Batches, and several threads for one request, are used if they take at most this share of the time."""
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
        at_once = self._try(model)
        run = partial(_candidate, model, self.photo)
        times = _times_ms({name: run(name) for name in at_once}) if len(at_once) > 1 else {next(iter(at_once)): 0.0}
        chosen = min(times, key=lambda name: times[name])
        batches = {f"{rows} rows": run(chosen, rows=rows) for rows in BATCHES if rows <= at_once[chosen]}
        threads = min(self.lanes, MAX_THREADS) if find_kind(chosen).threads else 1
        wide = {"wide": run(chosen, threads=threads)} if threads > 1 else {}
        times = _times_ms({"1 rows": run(chosen), **batches, **wide})
        plan = plan_rows({int(name.split()[0]): ms for name, ms in times.items() if name != "wide"})
        return EngineChoice(chosen, threads if times.get("wide", math.inf) <= GAIN * times["1 rows"] else 1, plan)

    def _try(self, model: ModelFile) -> dict[str, int]:
        """By engine that runs the model, how many rows it takes at once. Raises ModelError."""
        trial = Trial(model.name, model.content, (1,), self.max_batch, self.photo)
        found: dict[str, int] = {}
        refusals: list[ModelError] = []
        for kind in self.kinds:
            (outcome,) = try_models([trial], kind.name)
            if isinstance(outcome, ModelError):
                refusals.append(outcome)
            else:
                found[kind.name] = outcome[0].at_once
        if not found:
            raise refusals[0] if refusals else ModelError(f"{model.name}: no engine is installed")
        return found


def plan_rows(times_ms: Mapping[int, float]) -> RowPlan:
    """The batch with the shortest time per row, and from how many rows on it is faster, filled up, than one row after
    another. ``times_ms`` are by rows run at once, 1 among them."""
    best = min(times_ms, key=lambda rows: times_ms[rows] / rows)
    if times_ms[best] > GAIN * best * times_ms[1]:
        return RowPlan()
    return RowPlan(best, max(2, math.ceil(times_ms[best] / times_ms[1])))


def _times_ms(candidates: Mapping[str, Candidate]) -> dict[str, float]:
    reference = next(iter(candidates.values()))
    found = measure(candidates, reference=reference, threads=core_count(), plan=_PLAN, reporter=SILENT)
    return {name: found[name].minimum_ms for name in candidates}


def _candidate(model: ModelFile, photo: tuple[int, ...], name: str, *, rows: int = 1, threads: int = 1) -> Candidate:
    def ready() -> Callable[[], object]:
        engine = find_kind(name).load(model.content, threads=threads, name=model.name)
        return engine.ready(*encoded(engine.inputs, noise(engine.inputs, rows, photo)))

    return ready
