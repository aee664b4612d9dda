"""Choosing the best of many models, engines and numbers of threads for this machine, under a goal.

Measurements start rough and become more precise for fewer candidates: sizes cost nothing; then each model is tried on
each engine, which gives rough times; then accuracy and longer rounds follow. After each step, candidates that
certainly miss the goal, or that another certainly beats, are dropped.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lykeion.core import CONSOLE, Reporter, Unsupported
from lykeion.engines.running import FirstRun, Plan, Trial, try_models
from lykeion.litert import ModelError

from .accuracy import Labelled, top1
from .bench_report import BenchResult
from .benchmark import BENCH, result, time_cases
from .candidates import Case, FileFacts, LoadedEngines, facts
from .goal import Goal, GoalError, Interval, Known, exact
from .timing import Timing

ROUGH = 1.5
ROUNDS: tuple[tuple[Plan, float], ...] = (
    (Plan(passes=3, most=4, sample_s=0.01, apart_s=0.1), 0.25),
    (BENCH, 0.0),
)
"""Plans, each with the share by which its times may be too slow, because other processes may have kept the machine
busy. The last plan is that of ``bench``. ROUGH is that share after the first runs."""


_OF_NEW_PROCESS = {"cold_start_ms", "memory_bytes"}
"""If the goal uses any of these, each candidate is tried in a separate process."""

_OTHER_PROCESS = 0.1
"""The share by which a model may be slower in another process, where its memory layout differs."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The result for a candidate. ``outcome`` is chosen, meets (but another was chosen), misses, cut (not measured to
    the end, since it could not be chosen) or refused (by the engine); ``reason`` says why."""

    name: str
    outcome: str
    reason: str
    known: Known


@dataclass(frozen=True, slots=True)
class Selection:
    """``results`` are those measured to the end; ``chosen`` is None if nothing meets the goal. ``seconds`` is the
    time that each step of measuring took."""

    goal: Goal
    chosen: BenchResult | None
    reasons: tuple[str, ...]
    standings: tuple[Standing, ...]
    results: tuple[BenchResult, ...]
    seconds: Mapping[str, float]


def select(
    cases: Sequence[Case],
    goal: Goal,
    *,
    data: Labelled | None = None,
    journal: Path | None = None,
    rounds: Sequence[tuple[Plan, float]] = ROUNDS,
    reporter: Reporter = CONSOLE,
) -> Selection:
    """Measure what is needed to choose, and choose. Timings resume from ``journal`` if it exists.

    Raises GoalError, TimingError, ModelError.
    """
    if "top1" in goal.names and data is None:
        raise GoalError("goal: top1 needs labelled photos; give --data")
    with tempfile.TemporaryDirectory() as scratch:
        return _Selecting(cases, goal, data, reporter).run(journal or Path(scratch), rounds)


def cuts(known: Mapping[str, Known], goal: Goal) -> dict[str, str]:
    """Names of the candidates that can no longer be chosen, with the reason."""
    cut: dict[str, str] = {}
    sure: list[str] = []
    for name, fields in known.items():
        match goal.truth(fields):
            case False:
                cut[name] = goal.failing(fields)
            case True:
                sure.append(name)
    if not sure:
        return cut
    best = min(sure, key=lambda name: (goal.cost(known[name])[1], _latency(known[name])[1]))
    for name, fields in known.items():
        if name != best and name not in cut and _beats(known[best], fields, goal):
            cut[name] = f"{best} has {goal.objective} {_told(known[best], goal)}"
    return cut


def choose(results: Iterable[BenchResult], goal: Goal) -> BenchResult | None:
    """The best of those known to meet the goal, with its objective measured; of equals the fastest."""
    meeting = [each for each in results if goal.objective in each.known and goal.truth(_known(each)) is True]
    return min(meeting, key=lambda each: (goal.cost(_known(each)), each.latency_ms, each.name), default=None)


def _beats(best: Known, other: Known, goal: Goal) -> bool:
    """Whether one is certainly better; or certainly as good, and certainly faster."""
    (_, worst), (least, most) = goal.cost(best), goal.cost(other)
    if worst < least:
        return True
    return worst == least == most and _latency(best)[1] < _latency(other)[0]


class _Selecting:
    def __init__(self, cases: Sequence[Case], goal: Goal, data: Labelled | None, reporter: Reporter) -> None:
        self.goal, self.data, self.reporter = goal, data, reporter
        self.cases = {case.name: case for case in cases}
        self.left = list(self.cases)
        self.known: dict[str, dict[str, Interval | str]] = {name: _given(case) for name, case in self.cases.items()}
        self.cut: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.first: dict[str, FirstRun] = {}
        self.facts: dict[str, FileFacts] = {}
        self.accuracies: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self._asks_for_new = bool(goal.names & _OF_NEW_PROCESS)

    def run(self, journals: Path, rounds: Sequence[tuple[Plan, float]]) -> Selection:
        self._drop()
        self._try()
        self._drop()
        timings: dict[str, Timing] = {}
        tried = [case for name, case in self.cases.items() if name in self.first]
        with LoadedEngines() as loaded:
            if self.data is not None and "top1" in self.goal.names:
                self._judge(self.data, loaded, cutting=True)
            for number, (plan, margin) in enumerate(rounds):
                self._drop()
                began, cases = time.perf_counter(), [self.cases[name] for name in self.left]
                journal = journals / f"round-{number + 1}.jsonl"
                timings = time_cases(cases, tried[0], loaded, plan, journal, reporter=self.reporter) if cases else {}
                for name in self.left:
                    self.known[name].update(_times(timings[name], margin))
                self.seconds[f"round {number + 1}"] = time.perf_counter() - began
            if self.data is not None:  # for readers of the results measured to the end
                self._judge(self.data, loaded, cutting=False)
        results = tuple(self._result(name, timings[name]) for name in self.left)
        chosen = choose(results, self.goal)
        standings = tuple(self._standing(name, chosen) for name in self.cases)
        return Selection(self.goal, chosen, _reasons(self.goal, chosen, standings), standings, results, self.seconds)

    def _result(self, name: str, timing: Timing) -> BenchResult:
        case = self.cases[name]
        known = self.facts[case.model.name]
        first = self.first[name] if self._asks_for_new else None
        return result(case, known, timing, first, self.accuracies.get(name), None, None)

    def _try(self) -> None:
        """Try each model on each engine, in other processes, with all remaining numbers of threads."""
        began = time.perf_counter()
        together: dict[str, dict[str, list[Case]]] = {}
        for case in map(self.cases.__getitem__, self.left):
            together.setdefault(case.kind.name, {}).setdefault(case.model.name, []).append(case)
        total = sum(map(len, together.values()))
        with self.reporter.progress("Trying", total, unit="models") as progress:
            for kind, by_model in together.items():
                groups = list(by_model.values())
                for cases, outcome in zip(groups, self._outcomes(groups, kind), strict=True):
                    self._note(cases, outcome)
                    progress.advance()
        self.left = [name for name in self.left if name in self.first]
        self.seconds["trying"] = time.perf_counter() - began

    def _outcomes(self, groups: Sequence[Sequence[Case]], kind: str) -> Iterator[tuple[FirstRun, ...] | ModelError]:
        """The outcome of each group, the cases of one model. Each has a new process if the goal is about new ones."""
        at_once = self.data.at_once if self.data else 1
        trials = [
            Trial(cases[0].model.name, cases[0].model.content, tuple(case.threads for case in cases), at_once)
            for cases in groups
        ]
        if not self._asks_for_new:
            yield from try_models(trials, kind)
            return
        for trial in trials:
            alone = [next(try_models([replace(trial, threads=(count,))], kind)) for count in trial.threads]
            failed = next((each for each in alone if isinstance(each, ModelError)), None)
            yield failed or tuple(run for each in alone if not isinstance(each, ModelError) for run in each)

    def _note(self, cases: Sequence[Case], outcome: tuple[FirstRun, ...] | ModelError) -> None:
        """Record the outcome of a model's trial with several numbers of threads."""
        model = cases[0].model
        try:
            if isinstance(outcome, ModelError):
                raise outcome
            if model.name not in self.facts:
                self.facts[model.name] = facts(model, self.data)
        except (ModelError, Unsupported) as error:
            self.refused.update((case.name, str(error)) for case in cases)
            return
        for case, run in zip(cases, outcome, strict=True):
            self.first[case.name] = run
            self.known[case.name].update(_found(self.facts[model.name], run))
            if self._asks_for_new:
                self.known[case.name].update(_new_process(run))

    def _judge(self, data: Labelled, loaded: LoadedEngines, *, cutting: bool) -> None:
        """Measure accuracy, the most promising first, because one that is good enough may rule out others."""
        began = time.perf_counter()
        with self.reporter.progress("Accuracy", unit="models") as progress:
            while waiting := [name for name in self.left if name not in self.accuracies]:
                first = self.cases[min(waiting, key=self._promise)]
                # The number of threads does not change outputs.
                same = [name for name in waiting if self._is_like(self.cases[name], first)]
                try:
                    engine, at_once = loaded.pinned_engine(self.cases[same[-1]]), self.first[same[-1]].at_once
                    accuracy = top1(engine, data, first.model.name, at_once)
                except ModelError as error:
                    self.refused.update((name, str(error)) for name in same)
                    self.left = [name for name in self.left if name not in self.refused]
                    continue
                for name in same:
                    self.accuracies[name] = accuracy
                    self.known[name]["top1"] = exact(accuracy)
                if cutting:
                    self._drop()
                progress.advance()
        self.seconds["accuracy"] = self.seconds.get("accuracy", 0.0) + time.perf_counter() - began

    def _promise(self, name: str) -> tuple[float, float]:
        return self.goal.cost(self.known[name])[0], _latency(self.known[name])[0]

    @staticmethod
    def _is_like(one: Case, other: Case) -> bool:
        return (one.model.name, one.kind.name) == (other.model.name, other.kind.name)

    def _drop(self) -> None:
        found = cuts({name: self.known[name] for name in self.left}, self.goal)
        self.cut.update(found)
        self.left = [name for name in self.left if name not in found]

    def _standing(self, name: str, chosen: BenchResult | None) -> Standing:
        known = self.known[name]
        if name in self.refused:
            return Standing(name, "refused", self.refused[name], known)
        if chosen is not None and name == chosen.name:
            return Standing(name, "chosen", "", known)
        truth, reason = self.goal.truth(known), self.cut.get(name, "")
        if truth is False:
            return Standing(name, "misses", reason or self.goal.failing(known), known)
        return Standing(name, "cut" if reason else "meets" if truth else "misses", reason, known)


def _given(case: Case) -> dict[str, Interval | str]:
    """What is known from a file's name and size."""
    return {
        "model": case.model.name,
        "engine": case.kind.name,
        "threads": exact(case.threads),
        "size_bytes": exact(len(case.model.content)),
    }


def _found(known: FileFacts, run: FirstRun) -> dict[str, Interval | str]:
    """What is known from the file's content and its first run."""
    return {
        "precision": known.precision,
        "multiply_adds": exact(known.multiply_adds),
        "energy_uj": exact(known.energy_uj),
        "latency_ms": (run.rough_ms / (1 + ROUGH), run.rough_ms * (1 + _OTHER_PROCESS)),
    }


def _new_process(run: FirstRun) -> dict[str, Interval | str]:
    return {"cold_start_ms": exact(run.load_ms + run.run_ms), "memory_bytes": exact(run.memory_bytes)}


def _times(timing: Timing, margin: float) -> dict[str, Interval]:
    """Other work can only make a run slower: the true minimum is at most the measured one; a true percentile may be
    on either side."""
    percentiles = {"p50_ms": timing.median_ms, "p90_ms": timing.p90_ms, "p99_ms": timing.p99_ms}
    return {"latency_ms": (timing.minimum_ms / (1 + margin), timing.minimum_ms)} | {
        name: (ms / (1 + margin), ms * (1 + margin)) for name, ms in percentiles.items()
    }


def _known(measured: BenchResult) -> dict[str, Interval | str]:
    return {name: exact(value) for name, value in measured.known.items()}


def _latency(known: Known) -> Interval:
    value: Any = known.get("latency_ms", (0.0, float("inf")))
    return value


def _told(known: Known, goal: Goal) -> str:
    low, high = (abs(end) for end in goal.cost(known))
    return (
        _plain(int(low) if low.is_integer() else low)
        if low == high
        else f"at {'least' if goal.maximise else 'most'} {high:,.4g}"
    )


def _reasons(goal: Goal, chosen: BenchResult | None, standings: Sequence[Standing]) -> tuple[str, ...]:
    counts = {outcome: sum(each.outcome == outcome for each in standings) for outcome in ("misses", "cut", "refused")}
    rest = f"of {len(standings)}: {counts['misses']} miss the goal, {counts['cut']} could not win any more, "
    rest += f"{counts['refused']} cannot run"
    if chosen is None:
        return (f"nothing meets the goal; {rest}",)
    known = chosen.known
    named = ", ".join(f"{name} {_plain(known[name])}" for name in sorted(goal.names) if name in known)
    others = [each for each in standings if each.outcome == "meets"]
    next_best = min(others, key=lambda each: goal.cost(each.known), default=None)
    reasons = [f"it has {named}", rest]
    if next_best is not None:
        reasons.insert(1, f"next is {next_best.name} with {goal.objective} {_told(next_best.known, goal)}")
    return tuple(reasons)


def _plain(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
