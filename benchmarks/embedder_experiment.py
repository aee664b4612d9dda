"""Is the right one of two embedders shipped? An experiment over the 70,000 photos of Fashion-MNIST.

60,000 photos are the catalogue, the others what people search with. Two embedders, of which one is known to find
more photos of the query's class; simulated people who want these (measuring/search_users.py). Their events are
late, repeated and disordered. The experiment is looked at every day, and concluded at the first at which its rules
let it be. Then: the same with the arms exchanged, with the same embedder in both, by another outcome window, and
interleaved. Writes docs/benchmarks/embedder-experiment.md. Fails if another arm than the better is shipped, another
window is not refused, or the record is not what its Parquet files give again.

    python benchmarks/embedder_experiment.py [--people 6000]
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring.machine import describe
from measuring.search_users import DAY_S, SearchEngine, engine, interleaved_searches, searches
from msgspec import structs

from examples.fashion_mnist import load
from lykeion.delivery.experiments import (
    EXPERIMENT,
    Conclusion,
    ConclusionRefused,
    Experiment,
    ExperimentArm,
    ExperimentMetric,
    ExperimentResults,
    ExperimentSpec,
    check_conclusion,
    declaration_digest,
    read_record,
    record_of,
    results,
)
from lykeion.delivery.experiments.events import EventLog
from lykeion.delivery.experiments.statistics import Values

PAGES = Path(__file__).parents[1] / "docs" / "benchmarks"
START = 1_796_083_200.0
ENTER_DAYS, LOOKS = 14.0, tuple(range(1, 31))
DECISION = Conclusion(ship="treatment", because="people click more", by="the program")


@dataclass(frozen=True)
class Outcome:
    """How an experiment ended: on which day, if it could be concluded, and what was known then."""

    name: str
    day: int | None
    seen: ExperimentResults
    refused: str


@click.command(help=__doc__)
@click.option("--people", type=click.IntRange(500), default=6_000, show_default=True, help="In each experiment.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGES / "embedder-experiment.md")
def main(people: int, page: Path) -> None:
    train, labels = load("train")
    test, asked = load("test")
    weak, strong = (engine(name, make(train), labels, make(test), asked) for name, make in EMBEDDERS.items())
    with tempfile.TemporaryDirectory() as folder:
        found = tried(Path(folder), weak, strong, people)
        found.append(interleaved(Path(folder, "i"), (weak, strong), labels, asked, people // 5))
    page.write_text("\n".join(report(found, (weak, strong), people)) + "\n")
    print(page.read_text())
    if wrong := failures(found):
        sys.exit(f"not as promised: {', '.join(wrong)}")


def thumbnails(photos: Values) -> Values:
    """4 x 4 means of blocks: float32 (n, 16)."""
    return photos.reshape(-1, 4, 7, 4, 7).mean((2, 4)).reshape(-1, 16).astype(np.float32)


def pixels(photos: Values) -> Values:
    """Signed square roots of all pixels, centred: float32 (n, 784)."""
    return np.sqrt(photos.reshape(len(photos), -1).astype(np.float32)) - 6


EMBEDDERS = {"thumbnails": thumbnails, "pixels": pixels}


def tried(
    folder: Path, weak: SearchEngine, strong: SearchEngine, people: int, looks: Sequence[int] = LOOKS
) -> list[Outcome]:
    """The four experiments that assign people."""
    found: list[Outcome] = []
    for name, engines in (("better", (weak, strong)), ("worse", (strong, weak)), ("alike", (weak, weak))):
        log, experiment = EventLog(folder / name), declared(name)
        log.append(searches(experiment, engines, people, START, ENTER_DAYS, seed=1))
        found.append(concluded(experiment, log, name, looks))
        if name == "better":
            found[-1] = replace(found[-1], refused=_again(folder, experiment, log, found[-1]))
            other = replace(declared(name, window=DAY_S), status=experiment.status)
            found.append(Outcome("another window", None, *_decided(other, log, START + looks[-1] * DAY_S)))
    return found


PER_SEARCH = ExperimentMetric(name="clicks-a-search", kind="Ratio", event="click", denominator="search")
CLICKS = ExperimentMetric(name="clicks", kind="Mean", event="click", covariate_seconds=int(5 * DAY_S), limit=60)
CHOSEN = ExperimentMetric(name="chosen", kind="Mean", event="click")


def declared(
    name: str, window: float = 7 * DAY_S, metrics: tuple[ExperimentMetric, ...] = (PER_SEARCH, CLICKS), **more: Any
) -> Experiment:
    spec = ExperimentSpec(
        arms=(
            ExperimentArm(name="control", share=0.5, version="v1"),
            ExperimentArm(name="treatment", share=0.5, version="v2"),
        ),
        metrics=metrics,
        model="embedder",
        unit="user",
        window_seconds=int(window),
        late_seconds=int(2 * DAY_S),
        **more,
    )
    made = EXPERIMENT.new(name, spec)
    status = structs.replace(
        made.status, state="Running", started=datetime.fromtimestamp(START, UTC), declaration=declaration_digest(spec)
    )
    return replace(made, metadata=structs.replace(made.metadata, uid=f"uid-{name}"), status=status)


def concluded(experiment: Experiment, log: EventLog, name: str, looks: Sequence[int]) -> Outcome:
    """Looked at on some days, and concluded as soon as it may be."""
    seen, refused = _decided(experiment, log, START)
    for day in looks:
        seen, refused = _decided(experiment, log, START + day * DAY_S)
        if not refused:
            return Outcome(name, day, seen, "")
    return Outcome(name, None, seen, refused)


def _decided(experiment: Experiment, log: EventLog, until: float) -> tuple[ExperimentResults, str]:
    seen = results(experiment, log, until)
    try:
        check_conclusion(experiment, DECISION, seen)
    except ConclusionRefused as error:
        return seen, str(error)
    return seen, ""


def _again(folder: Path, experiment: Experiment, log: EventLog, outcome: Outcome) -> str:
    """What differs if the record is computed again from the Parquet files, after they have been compacted."""
    path = folder / "record.json"
    path.write_text(json.dumps(record_of(experiment, outcome.seen).document()))
    log.compact(START + 1_000 * DAY_S)
    return ", ".join(read_record(path).differences(log))


def interleaved(folder: Path, engines: Sequence[SearchEngine], labels: Values, asked: Values, people: int) -> Outcome:
    log = EventLog(folder)
    experiment = declared("interleaved", 3_600.0, (CHOSEN,), design="Interleaving")
    log.append(interleaved_searches(experiment, engines, labels, asked, people, START, seed=2))
    seen, refused = _decided(experiment, log, START + LOOKS[-1] * DAY_S)
    return Outcome("interleaved", None if refused else LOOKS[-1], seen, refused)


def failures(found: Sequence[Outcome]) -> list[str]:
    by_name = {each.name: each for each in found}
    wrong = [name for name in ("better", "interleaved") if by_name[name].day is None or by_name[name].refused]
    wrong += [name for name in ("worse", "alike") if by_name[name].day is not None]
    wrong += ["another window"] if "the declaration is not" not in by_name["another window"].refused else []
    return wrong


def report(found: Sequence[Outcome], engines: Sequence[SearchEngine], people: int) -> Iterator[str]:
    precision = ", ".join(f"`{each.name}`: precision@10 {each.precision:.3f}" for each in engines)
    yield "# An experiment on two embedders"
    yield ""
    yield (
        f"60,000 photos of Fashion-MNIST as catalogue, 10,000 to search with; {people:,} simulated people an "
        f"experiment, {describe()}. {precision}. People want photos of their query's class. A fifth of the events is "
        "late, by a day on average, and a tenth is sent again; the window is 7 days (of an hour), the cut-off 2. "
        "Each experiment is looked at daily for 30 days, and concluded at the first look at which treatment may be "
        "shipped."
    )
    yield ""
    yield "| experiment | counted | first metric | difference | interval | shipped on day | or why not |"
    yield "|---|---:|---|---:|---|---:|---|"
    for each in found:
        first = each.seen.results[0]
        ends = (first.low, first.high) if first.low is not None else (first.relative_low, first.relative_high)
        interval = " to ".join("?" if end is None else f"{end:+.3f}" for end in ends)
        why = each.refused.partition(": ")[2]
        yield (
            f"| {each.name} | {sum(each.seen.counted):,} | {first.metric} | {first.difference or 0:+.4f} "
            f"| {interval} | {each.day or ''} | {why} |"
        )
    yield ""
    yield (
        "`better` has the better embedder as treatment, `worse` the other, `alike` the same in both arms. `another "
        "window` is `better`, analysed with a window of one day. `interleaved` shows a fifth of the people one "
        "list of both; its interval is of the ratio, minus 1. The record of `better`, computed again from its "
        "Parquet files after they were compacted, is the same."
    )
    yield ""
    yield "`python benchmarks/embedder_experiment.py` writes this page."


if __name__ == "__main__":
    main()
