"""The candidates to measure: models, each on an engine with a number of threads; and engines that stay loaded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import usable_cores
from lykeion.engines.running import Engine, FirstRun, Kind, OperatorTime, encoded, keep_to, noise, specs, try_model
from lykeion.litert import Graph, cost, precision, read_graph

from .accuracy import Labelled, check_fits
from .energy import modelled


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A ``.tflite`` file. ``source`` is its path, with its card beside it; ``run`` is the directory of the training
    that made it, which names its classes."""

    name: str
    content: bytes
    source: Path | None = None
    run: Path | None = None

    @property
    def graph(self) -> Graph:
        """Only for models that passed ``try_model``. Raises ModelError."""
        return read_graph(self.content, self.name)


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one engine with a number of threads."""

    model: ModelFile
    kind: Kind
    threads: int

    @property
    def name(self) -> str:
        return f"{self.model.name} · {self.kind.name} · {self.threads}"

    def load(self) -> Engine:
        """Raises ModelError, Unsupported."""
        return self.kind.load(self.model.content, threads=self.threads, name=self.model.name)

    def first_run(self, at_once: int = 1) -> FirstRun:
        """Run in a separate process, also on ``at_once`` photos. Raises ModelError."""
        model, name = self.model.content, self.model.name
        return try_model(model, name, kind=self.kind.name, threads=self.threads, at_once=at_once)

    def operator_times(self, runs: int = 50) -> tuple[OperatorTime, ...]:
        """Operator times on one photo of noise, after a trial of the model. Raises ModelError, Unsupported."""
        self.first_run()
        inputs = specs(self.model.graph)[0]
        values = encoded(inputs, noise(inputs))
        return self.kind.operator_times(self.model.content, values, runs, threads=self.threads, name=self.model.name)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a model without running it."""

    precision: str
    size_bytes: int
    multiply_adds: int
    energy_uj: float
    """Modelled."""


def cases(models: Sequence[ModelFile], kinds: Iterable[Kind], threads: Iterable[int]) -> list[Case]:
    """All combinations; engines without a setting for threads appear only once."""
    counts = sorted(set(threads))
    return [
        Case(model, kind, count) for model in models for kind in kinds for count in (counts if kind.threads else [1])
    ]


def facts(model: ModelFile, data: Labelled | None = None) -> FileFacts:
    """Raises ModelError, also if the model cannot be evaluated on ``data``."""
    graph = model.graph
    if data is not None:
        inputs, (made, *_) = specs(graph)
        check_fits(inputs, made, data, model.name)
    held, counted = precision(graph), cost(graph)
    energy = modelled(
        counted.multiply_adds,
        counted.constant_bytes,
        counted.moved_bytes,
        "int8" if held in ("int8", "uint8") else "float32",
    )
    return FileFacts(held, len(model.content), counted.multiply_adds, energy.total_uj)


class LoadedEngines:
    """Engines of cases, each loaded once, because some compile for a second or more; all closed together."""

    def __init__(self) -> None:
        self._free = usable_cores()
        self._engines: dict[Case, Engine] = {}

    def __enter__(self) -> "LoadedEngines":
        return self

    def __exit__(self, *_: object) -> None:
        keep_to(self._free)
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def pinned_engine(self, case: Case) -> Engine:
        """The engine; from now on this thread is pinned to as many cores as the case has threads. Raises ModelError,
        Unsupported."""
        keep_to(self._free[-case.threads :])
        if case not in self._engines:
            self._engines[case] = case.load()
        return self._engines[case]
