"""Measuring model files on engines side by side: cold start and memory in new processes, latency in turns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lykeion.core import CONSOLE, LykeionError, Reporter, Unsupported, digest_bytes, usable_cores
from lykeion.engines.running import Candidate, FirstRun, Kind, Plan, encoded, noise, this_machine
from lykeion.litert import ModelError

from .accuracy import Labelled, top1
from .bench_report import BenchReport, BenchResult, RefusedCase
from .candidates import Case, FileFacts, LoadedEngines, ModelFile, facts
from .energy import Rapl
from .photo_work import PhotoWork, photo_work
from .timing import REFERENCE, Timing, TimingJournal, measure

BENCH = Plan(passes=5, most=15, sample_s=0.03, least=10)
"""At least 50 runs of each candidate."""
ENERGY_S = 0.5


def bench(
    cases: Sequence[Case],
    *,
    plan: Plan = BENCH,
    data: Labelled | None = None,
    photo: Path | None = None,
    journal: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> BenchReport:
    """Measure all cases; those that cannot run are in the report with the reason. Preprocessing is measured on
    ``photo``, or else on a generated photo of 640 × 480. Resumes from ``journal`` if it exists. Raises TimingError,
    PhotoError.
    """
    first, refused = first_runs(cases, at_once=data.at_once if data else 1, reporter=reporter)
    known: dict[ModelFile, FileFacts] = {}
    photos: dict[ModelFile, PhotoWork | None] = {}
    running: list[Case] = []
    for case in first:
        try:
            if case.model not in known:
                photos[case.model] = photo_work(case.model.source, case.model.graph, photo)
                known[case.model] = facts(case.model, data)
            running.append(case)
        except (ModelError, Unsupported) as error:
            refused.append(_refused(case, error))
    with LoadedEngines() as loaded:
        runs = {case: first[case] for case in running}
        accuracies, failed = ({}, {}) if data is None else accuracies_of(runs, loaded, data, reporter=reporter)
        refused += [_refused(case, failed[_judged(case)]) for case in running if _judged(case) in failed]
        running = [case for case in running if _judged(case) not in failed]
        timings = time_cases(running, running[0], loaded, plan, journal, reporter=reporter) if running else {}
        energies = _measured_energies(running, loaded)
    results = [
        result(
            case,
            known[case.model],
            timings[case.name],
            first[case],
            accuracies.get(_judged(case)),
            photos[case.model],
            energies.get(case),
        )
        for case in running
    ]
    busy = timings[REFERENCE].busy if running else 0.0
    return BenchReport(this_machine(), tuple(results), tuple(refused), busy)


def first_runs(
    cases: Sequence[Case], *, at_once: int = 1, reporter: Reporter = CONSOLE
) -> tuple[dict[Case, FirstRun], list[RefusedCase]]:
    """The first run of each case in a separate process, also on ``at_once`` photos; and the cases that failed."""
    done: dict[Case, FirstRun] = {}
    refused: list[RefusedCase] = []
    with reporter.progress("Trying", len(cases), unit="models") as progress:
        for case in cases:
            try:
                done[case] = case.first_run(at_once)
            except LykeionError as error:
                refused.append(_refused(case, error))
            progress.advance()
    return done, refused


def time_cases(
    cases: Sequence[Case],
    reference: Case,
    loaded: LoadedEngines,
    plan: Plan,
    journal: Path | None = None,
    *,
    reporter: Reporter = CONSOLE,
) -> dict[str, Timing]:
    """Timing of each case by name, and of the reference by the name REFERENCE; measured in turns, each case pinned to
    as many cores as it has threads. A journal may have timings of other cases too. Raises TimingError."""
    names = {_identity(case): case.name for case in cases}
    setup = {"machine": this_machine().processor, "reference": _identity(reference)}
    timings = measure(
        {_identity(case): _candidate(case, loaded) for case in cases},
        reference=_candidate(reference, loaded),
        threads=len(usable_cores()),
        plan=plan,
        journal=TimingJournal(journal, setup) if journal else None,
        reporter=reporter,
    )
    return {names.get(key, key): timing for key, timing in timings.items()}


def accuracies_of(
    cases: Mapping[Case, FirstRun], loaded: LoadedEngines, data: Labelled, *, reporter: Reporter = CONSOLE
) -> tuple[dict[tuple[ModelFile, Kind], float], dict[tuple[ModelFile, Kind], ModelError]]:
    """Top-1 by model and engine, and errors of those that failed: the number of threads does not change outputs."""
    most = {_judged(case): case for case in sorted(cases, key=lambda case: case.threads)}
    found: dict[tuple[ModelFile, Kind], float] = {}
    failed: dict[tuple[ModelFile, Kind], ModelError] = {}
    with reporter.progress("Accuracy", len(most), unit="models") as progress:
        for judged, case in most.items():
            try:
                found[judged] = top1(loaded.pinned_engine(case), data, case.model.name, cases[case].at_once)
            except ModelError as error:
                failed[judged] = error
            progress.advance()
    return found, failed


def result(
    case: Case,
    known: FileFacts,
    timing: Timing,
    first: FirstRun | None,
    accuracy: float | None,
    photo: PhotoWork | None,
    energy_uj: float | None,
) -> BenchResult:
    """``energy_uj`` is the measured energy; without it the modelled energy is reported."""
    return BenchResult(
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


def _judged(case: Case) -> tuple[ModelFile, Kind]:
    return case.model, case.kind


def _refused(case: Case, error: LykeionError) -> RefusedCase:
    return RefusedCase(case.model.name, case.kind.name, case.threads, str(error))


def _identity(case: Case) -> str:
    return f"{case.name} {digest_bytes(case.model.content)} {case.kind.version}"


def _candidate(case: Case, loaded: LoadedEngines) -> Candidate:
    def ready() -> Callable[[], object]:
        engine = loaded.pinned_engine(case)
        return engine.ready(*encoded(engine.inputs, noise(engine.inputs)))

    return ready


def _measured_energies(cases: Sequence[Case], loaded: LoadedEngines) -> Mapping[Case, float]:
    rapl = Rapl()
    return {case: rapl.measure_uj(_candidate(case, loaded)(), ENERGY_S) for case in cases} if rapl.readable else {}
