"""Model files on engines, measured side by side: cold start and memory in new processes, latency in turns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import LykeionError, Progress, digest_bytes

from .accuracy import Labelled, top1
from .agreement import random_batch
from .energy import Rapl, modelled
from .graph import Graph, cost, precision, read_graph
from .kinds import Kind
from .machine import cores, keep_to, pinned, this_machine
from .photo_work import PhotoWork, photo_work
from .protocol import Engine
from .report import Refused, Report, Result
from .timing import REFERENCE, Candidate, Journal, Plan, Timing, measure
from .trial import FirstRun, try_model

BENCH = Plan(passes=5, most=15, sample_s=0.03, least=10)
"""At least 50 runs of each candidate."""
ENERGY_S = 0.5


@dataclass(frozen=True, slots=True)
class Model:
    """A ``.tflite`` file: ``source`` is its path, from which its card is found, or None."""

    name: str
    content: bytes
    source: Path | None = None

    @property
    def graph(self) -> Graph:
        """Raises ModelError. Only of models that passed ``try_model``."""
        return read_graph(self.content, self.name)


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one engine with so many threads."""

    model: Model
    kind: Kind
    threads: int

    @property
    def name(self) -> str:
        return f"{self.model.name} · {self.kind.name} · {self.threads}"

    def load(self) -> Engine:
        """Raises ModelError, Unsupported."""
        return self.kind.load(self.model.content, threads=self.threads, name=self.model.name)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model without running it."""

    precision: str
    size_bytes: int
    multiply_adds: int
    energy_uj: float
    """Modelled."""


def cases(models: Sequence[Model], kinds: Iterable[Kind], threads: Iterable[int]) -> list[Case]:
    """All combinations; engines that cannot be told a number of threads once only."""
    counts = sorted(set(threads))
    return [
        Case(model, kind, count) for model in models for kind in kinds for count in (counts if kind.threads else [1])
    ]


def facts(model: Model) -> Facts:
    """Raises ModelError."""
    graph = model.graph
    held, counted = precision(graph), cost(graph)
    energy = modelled(
        counted.multiply_adds,
        counted.constant_bytes,
        counted.moved_bytes,
        "int8" if held in ("int8", "uint8") else "float32",
    )
    return Facts(held, len(model.content), counted.multiply_adds, energy.total_uj)


def bench(
    cases: Sequence[Case],
    *,
    plan: Plan = BENCH,
    data: Labelled | None = None,
    photo: Path | None = None,
    journal: Path | None = None,
    quiet: bool = False,
) -> Report:
    """Measure all cases; those that cannot run are in the report with the reason. ``photo`` is what preprocessing is
    measured on, else a made one of 640 × 480. Goes on from ``journal`` where it is there. Raises TimingError,
    PhotoError.
    """
    first, refused = first_runs(cases, quiet=quiet)
    running = [case for case in cases if case in first]
    timings = time_cases(running, plan, journal, quiet=quiet)
    accuracies = {} if data is None else accuracies_of(running, data, quiet=quiet)
    known = {case.model: facts(case.model) for case in running}
    photos = {model: photo_work(model.source, model.graph, photo) for model in known}
    energies = _measured_energies(running)
    results = [
        result(
            case,
            known[case.model],
            timings[case.name],
            first[case],
            accuracies.get((case.model, case.kind)),
            photos[case.model],
            energies.get(case),
        )
        for case in running
    ]
    busy = timings[REFERENCE].busy if running else 0.0
    return Report(this_machine(), tuple(results), tuple(refused), busy)


def first_runs(cases: Sequence[Case], *, quiet: bool = False) -> tuple[dict[Case, FirstRun], list[Refused]]:
    """Each in a process of its own; and those that failed there."""
    done: dict[Case, FirstRun] = {}
    refused: list[Refused] = []
    with Progress("Trying", len(cases), unit="models", quiet=quiet) as progress:
        for case in cases:
            try:
                done[case] = try_model(case.model.content, case.model.name, kind=case.kind.name, threads=case.threads)
            except LykeionError as error:
                refused.append(Refused(case.model.name, case.kind.name, case.threads, str(error)))
            progress.advance()
    return done, refused


def time_cases(
    cases: Sequence[Case], plan: Plan, journal: Path | None = None, *, quiet: bool = False
) -> dict[str, Timing]:
    """Timing of each by name, in turns, each kept to as many cores as it has threads; and of a reference."""
    if not cases:
        return {}
    free = cores()
    setup = {
        "machine": this_machine().processor,
        "cases": digest_bytes("\n".join(_identity(case) for case in cases).encode()),
    }
    loaded: list[Engine] = []
    try:
        with pinned(len(free)):
            return measure(
                {case.name: _candidate(case, free, loaded) for case in cases},
                reference=_candidate(cases[0], free, loaded),
                threads=len(free),
                plan=plan,
                journal=Journal(journal, setup) if journal else None,
                quiet=quiet,
            )
    finally:
        for engine in loaded:
            engine.close()


def accuracies_of(cases: Sequence[Case], data: Labelled, *, quiet: bool = False) -> dict[tuple[Model, Kind], float]:
    """Top-1 by model and engine: the number of threads changes no answer. Raises ModelError."""
    pairs = list(dict.fromkeys((case.model, case.kind) for case in cases))
    found = {}
    with Progress("Accuracy", len(pairs), unit="models", quiet=quiet) as progress:
        for model, kind in pairs:
            engine = kind.load(model.content, threads=len(cores()) if kind.threads else 1, name=model.name)
            found[model, kind] = top1(engine, data, model.name)
            engine.close()
            progress.advance()
    return found


def result(
    case: Case,
    known: Facts,
    timing: Timing,
    first: FirstRun | None,
    accuracy: float | None,
    photo: PhotoWork | None,
    energy_uj: float | None,
) -> Result:
    """``energy_uj`` is the measured one; without it the modelled one is told."""
    return Result(
        model=case.model.name,
        digest=digest_bytes(case.model.content),
        engine=case.kind.name,
        engine_version=case.kind.version,
        threads=case.threads,
        precision=known.precision,
        size_bytes=known.size_bytes,
        multiply_adds=known.multiply_adds,
        latency_ms=timing.minimum_ms,
        p50_ms=timing.median_ms,
        p90_ms=timing.p90_ms,
        p99_ms=timing.p99_ms,
        spread=timing.spread,
        runs=timing.runs,
        energy_uj=known.energy_uj if energy_uj is None else energy_uj,
        energy_source="modelled" if energy_uj is None else "RAPL",
        cold_start_ms=first.load_ms + first.run_ms if first else None,
        memory_bytes=first.memory_bytes if first else None,
        top1=accuracy,
        preprocess_ms=photo.before_ms if photo else None,
        postprocess_ms=photo.after_ms if photo else None,
    )


def _identity(case: Case) -> str:
    return f"{case.name} {digest_bytes(case.model.content)} {case.kind.version}"


def _candidate(case: Case, free: tuple[int, ...], loaded: list[Engine]) -> Candidate:
    """Loaded once, into ``loaded``: some engines compile for a second and more."""
    engine: Engine | None = None

    def ready() -> Callable[[], object]:
        nonlocal engine
        keep_to(free[-case.threads :])
        if engine is None:
            engine = case.load()
            loaded.append(engine)
        return engine.ready(engine.inputs[0].encode(random_batch(engine.inputs[0])))

    return ready


def _measured_energies(cases: Sequence[Case]) -> Mapping[Case, float]:
    rapl = Rapl()
    if not rapl.readable:
        return {}
    found = {}
    for case in cases:
        engine = case.load()
        found[case] = rapl.measure_uj(engine.ready(engine.inputs[0].encode(random_batch(engine.inputs[0]))), ENERGY_S)
        engine.close()
    return found
