"""The fastest engine for a model on this machine, among those whose vectors agree with LiteRT's; measured once."""

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lykeion.core import (
    LykeionError,
    NotFound,
    cache_directory,
    digest_bytes,
    digest_json,
    fitting,
    read_json,
    write_atomically,
)
from lykeion.engines.running import Kind, Trial, find_kind, this_machine, try_models
from lykeion.litert import ModelError

from .accuracy import agreement
from .candidates import ModelFile

GAIN = 0.95
"""An engine takes the place of the reference, which starts fastest, if it needs at most this share of its time."""
_LOADS = (1, 1, 1)
"""Each engine is loaded and timed so often, on one thread; the shortest time counts."""


class NothingRemembered(NotFound):
    """No choice is remembered for this machine, model and these engines, or none that can be read."""


@dataclass(frozen=True, slots=True)
class AgreeingEngine:
    """``cosine`` is the smallest between its vectors and the reference's; ``times_ms`` are of one row on one thread,
    by the name of each engine that runs the model."""

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

        Each engine is first tried and timed in a process of its own, and only those that are faster than the
        reference are loaded here. Raises ModelError if the reference does not run the model.
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
        times = {reference.name: _time_ms(model, reference)}
        for kind in self.kinds[1:]:
            with suppress(LykeionError):  # what does not run the model is no candidate
                times[kind.name] = _time_ms(model, kind)
        expected = self._vectors(model, reference)
        faster = (name for name in times if times[name] <= GAIN * times[reference.name])
        for name in sorted(faster, key=lambda name: times[name]):
            with suppress(LykeionError):
                cosine = agreement(self._vectors(model, find_kind(name)), expected).cosine
                if cosine >= self.least_cosine:
                    return AgreeingEngine(name, cosine, times)
        return AgreeingEngine(reference.name, 1.0, times)

    def _vectors(self, model: ModelFile, kind: Kind) -> np.ndarray:
        """The output for each row, one at a time."""
        with closing(kind.load(model.content, name=model.name)) as engine:
            return np.concatenate([engine.run(row[np.newaxis])[self.output] for row in self.rows])


def _time_ms(model: ModelFile, kind: Kind) -> float:
    """Raises ModelError, Unsupported."""
    (runs,) = try_models([Trial(model.name, model.content, _LOADS)], kind.name)
    if isinstance(runs, ModelError):
        raise runs
    return min(run.rough_ms for run in runs)
