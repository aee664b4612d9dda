"""Fair comparison of the latency of networks on a machine that is never completely idle.

All candidates take turns, pass by pass, so that a busy moment does not affect only one of them; the minimum over
passes that are spread in time is the one least disturbed by other work. A reference is timed among them: its
variation shows how busy the machine was. Measurements are kept in a journal, from which a second call resumes.
"""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from lykeion.core import CONSOLE, Journal, LykeionError, Reporter, fitting, stop_here, stop_signals
from lykeion.engines.running import USUAL, Candidate, Pass, Plan, encoded, noise, pinned, run_pass

REFERENCE = "reference"
_REFERENCE_EVERY = 16


class TimingError(LykeionError):
    """A journal of measurements that cannot be read, or belongs to another measurement."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Over all passes: the minimum time; the median over passes of the median, 90th and 99th percentile.

    ``spread`` is how far the second best pass's minimum is above the best, ``busy`` how far the median pass's is, as
    shares of the best.
    """

    minimum_ms: float
    median_ms: float
    p90_ms: float
    p99_ms: float
    spread: float
    busy: float
    passes: int
    runs: int


def summarise(passes: Sequence[Pass]) -> Timing:
    """Timing over one or more passes."""
    minima = sorted(each.minimum_ms for each in passes)
    best = minima[0]
    return Timing(
        best,
        statistics.median(each.median_ms for each in passes),
        statistics.median(each.p90_ms for each in passes),
        statistics.median(each.p99_ms for each in passes),
        spread=minima[min(1, len(minima) - 1)] / best - 1,
        busy=statistics.median(minima) / best - 1,
        passes=len(passes),
        runs=sum(each.runs for each in passes),
    )


def is_settled(passes: Sequence[Pass], plan: Plan) -> bool:
    """Whether a candidate needs no further pass."""
    if len(passes) < plan.passes:
        return False
    return len(passes) >= plan.most or summarise(passes).spread <= plan.tolerance


def measure(
    candidates: Mapping[str, Candidate],
    *,
    reference: Candidate,
    threads: int = 1,
    plan: Plan = USUAL,
    journal: "TimingJournal | None" = None,
    reporter: Reporter = CONSOLE,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Timing]:
    """Timing of every candidate by name, and of the reference by the name REFERENCE.

    The process is pinned to as many cores as ``threads``. ``clock`` returns nanoseconds. Raises TimingError.
    """
    done: dict[str, list[Pass]] = defaultdict(list)
    taken = 0
    for name, turn in journal.read() if journal else ():
        done[name].append(turn)

    def take_turn(name: str, candidate: Candidate) -> None:
        turn = run_pass(candidate(), plan, clock)
        done[name].append(turn)
        if journal:
            journal.append(name, turn)
            stop_here(f"all passes so far are in {journal.path}")

    with (
        stop_signals() if journal else nullcontext(),
        pinned(threads),
        reporter.progress("Timing", unit="passes") as progress,
    ):
        for number in count():
            waiting = [name for name in candidates if not is_settled(done[name], plan)]
            progress.total = taken + sum(max(1, plan.passes - len(done[name])) for name in waiting)
            if not waiting and done[REFERENCE]:
                break
            began = clock()
            # Back and forth, so that no candidate always follows the same one.
            for place, name in enumerate(reversed(waiting) if number % 2 else waiting):
                if place % _REFERENCE_EVERY == 0:
                    take_turn(REFERENCE, reference)
                take_turn(name, candidates[name])
                progress.advance()
                taken += 1
            if not waiting:
                take_turn(REFERENCE, reference)
            sleep(max(0.0, plan.apart_s - (clock() - began) / 1e9))
    return {name: summarise(done[name]) for name in (*candidates, REFERENCE)}


class TimingJournal:
    """A journal of passes, each written as soon as it is measured.

    The first line holds ``setup``: what must be the same for measurements to be comparable. Raises TimingError.
    """

    def __init__(self, path: Path, setup: Mapping[str, Any]) -> None:
        self.path = path
        self._journal, self._setup = Journal(path, TimingError, "journal of measurements"), dict(setup)

    def read(self) -> list[tuple[str, Pass]]:
        """Names and passes in the order in which they were measured."""
        lines = list(self._journal)
        if not lines:
            self._journal.append({"setup": self._setup}, first=True)
            lines = list(self._journal)  # another process may have started it
        with fitting(TimingError, "journal of measurements", where=f"{self.path}: "):
            setup: dict[str, Any] = dict(lines[0]["setup"])
            passes = [(str(line.pop("candidate")), _read_pass(line)) for line in lines[1:]]
        for key in sorted(self._setup.keys() | setup.keys()):
            if setup.get(key) != self._setup.get(key):
                raise TimingError(
                    f"{self.path}: begun with {key} {setup.get(key)!r}, not {self._setup.get(key)!r}; "
                    "delete it to measure again"
                )
        return passes

    def append(self, name: str, turn: Pass) -> None:
        """Raises TimingError."""
        self._journal.append({"candidate": name, **asdict(turn)})


def _read_pass(line: Mapping[str, Any]) -> Pass:
    made = Pass(**line)
    if not all(isinstance(value, int | float) and 0 < value < math.inf for value in asdict(made).values()):
        raise ValueError("a figure is no time")
    return made


def litert_candidate(model: bytes, threads: int = 1) -> Candidate:
    """A LiteRT file as a candidate, run on noise; loaded again for every pass. Raises ModelError."""
    from lykeion.engines.running import LiteRTEngine

    def ready() -> Callable[[], object]:
        engine = LiteRTEngine(model, threads=threads)
        return engine.ready(*encoded(engine.inputs, noise(engine.inputs)))

    return ready
