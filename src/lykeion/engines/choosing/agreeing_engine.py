"""The fastest engine for a model on this machine, among those whose vectors agree with LiteRT's; measured once."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lykeion.core import (
    SILENT,
    LykeionError,
    NotFound,
    cache_directory,
    digest_bytes,
    digest_json,
    fitting,
    read_json,
    write_atomically,
)
from lykeion.engines.running import Candidate, Engine, Kind, Plan, find_kind, this_machine, try_model

from .accuracy import agreement
from .candidates import ModelFile
from .timing import measure

GAIN = 0.95
"""An engine takes the place of the reference, which starts fastest, if it needs at most this share of its time."""
_PLAN = Plan(passes=5, most=15, apart_s=0.0)


class NothingRemembered(NotFound):
    """No choice is remembered for this machine, model and these engines, or none that can be read."""


@dataclass(frozen=True, slots=True)
class AgreeingEngine:
    """``cosine`` is the smallest between its vectors and the reference's; ``times_ms`` are of one row on one thread,
    by the name of each engine that runs the model, in processor time."""

    name: str
    cosine: float
    times_ms: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> "AgreeingEngine":
        """Raises NothingRemembered, UnknownEngine."""
        plain = read_json(path, NothingRemembered, "choice of an engine")
        with fitting(NothingRemembered, "choice of an engine", where=f"{path}: "):
            times = {str(name): float(time) for name, time in plain["times_ms"].items()}
            return cls(find_kind(plain["name"]).name, float(plain["cosine"]), times)


@dataclass(frozen=True, slots=True, eq=False)
class EngineRace:
    """Between ``kinds``, the first of which is the reference: whose output of this name has a cosine of at least
    ``least_cosine`` to the reference's for each of ``rows``, float32 (n, …), the model's input."""

    kinds: Sequence[Kind]
    output: str
    rows: np.ndarray
    least_cosine: float

    def remembered(self, model: ModelFile) -> AgreeingEngine:
        """Raises NothingRemembered, and UnknownEngine if the choice is of an engine that there was."""
        return AgreeingEngine.read(self._place(model))

    def run(self, model: ModelFile) -> AgreeingEngine:
        """Measured now, which takes seconds, and remembered.

        Each engine is first tried in a process of its own, then all take turns in this one. Raises ModelError if the
        reference does not run the model.
        """
        chosen = self._measured(model)
        with suppress(OSError):
            write_atomically(self._place(model), json.dumps(asdict(chosen)).encode(), durable=False)
        return chosen

    def _place(self, model: ModelFile) -> Path:
        key = digest_json(
            {
                "model": digest_bytes(model.content),
                "machine": asdict(this_machine()),
                "engines": {kind.name: kind.version for kind in self.kinds},
                "output": self.output,
                "rows": digest_bytes(self.rows.tobytes()),
                "least_cosine": self.least_cosine,
            }
        )
        return cache_directory() / "agreeing-engines" / f"{key.removeprefix('sha256:')}.json"

    def _measured(self, model: ModelFile) -> AgreeingEngine:
        reference = self.kinds[0]
        _try(model, reference)
        with ExitStack() as stack:
            engines = {reference.name: stack.enter_context(closing(reference.load(model.content, name=model.name)))}
            for kind in self.kinds[1:]:
                with suppress(LykeionError):  # what does not run the model is no candidate
                    _try(model, kind)
                    engines[kind.name] = stack.enter_context(closing(kind.load(model.content, name=model.name)))
            vectors = {name: self._vectors(engine) for name, engine in engines.items()}
            cosines = {name: agreement(each, vectors[reference.name]).cosine for name, each in vectors.items()}
            times = _times_ms({name: engine.ready(self.rows[:1]) for name, engine in engines.items()}, reference.name)
        allowed = [name for name in times if cosines[name] >= self.least_cosine]
        fastest = min(allowed, key=lambda name: times[name], default=reference.name)
        chosen = fastest if times[fastest] <= GAIN * times[reference.name] else reference.name
        return AgreeingEngine(chosen, cosines[chosen], times)

    def _vectors(self, engine: Engine) -> np.ndarray:
        """The output for each row, one at a time."""
        return np.concatenate([engine.run(row[np.newaxis])[self.output] for row in self.rows])


def _try(model: ModelFile, kind: Kind) -> None:
    """Raises ModelError, Unsupported; a model that crashes the engine ends another process than this."""
    try_model(model.content, model.name, kind=kind.name)


def _times_ms(runs: Mapping[str, Callable[[], object]], reference: str) -> dict[str, float]:
    """In processor time, which other work on the machine lengthens least."""
    candidates: dict[str, Candidate] = {name: partial(_same, run) for name, run in runs.items()}
    found = measure(
        candidates, reference=candidates[reference], plan=_PLAN, reporter=SILENT, clock=time.process_time_ns
    )
    return {name: found[name].minimum_ms for name in runs}


def _same(run: Callable[[], object]) -> Callable[[], object]:
    return run
