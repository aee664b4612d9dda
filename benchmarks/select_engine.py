"""Is the choice of `lykeion engines select` right, and how much measuring does it save?

MobileNets of several widths are trained on Fashion-MNIST and written in float32 and with integers; all of these on
all usual engines with one and two threads are measured to the end: that is the truth, and what a choice would cost
without cutting. Then select chooses for six goals, each from scratch. A choice is right if by the truth it is
within 5 % of the best that meets the goal. Everything is kept in the work directory: an interrupted run resumes.
Writes docs/benchmarks/select.md and .png.

    python benchmarks/select_engine.py [--photos 50000] [--epochs 10]
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results

from lykeion.compress.methods.quantize import Mode, convert
from lykeion.core import SILENT
from lykeion.engines.choosing import (
    BenchReport,
    BenchResult,
    Case,
    Labelled,
    ModelFile,
    bench,
    cases,
    choose,
    draw_choice,
    exact,
    parse_goal,
    read_report,
    select,
    write_report,
)
from lykeion.engines.running import usual_kinds
from lykeion.nets import find, write_litert
from lykeion.nets.training import normalise

ROOT = Path(__file__).parents[1]
NETWORKS = ("mobilenet-v2-0.35@32", "mobilenet-v2-0.5@32", "mobilenet-v2-0.75@32", "mobilenet-v3-small-0.75@32")
QUANTIZED: tuple[Mode, ...] = ("weight-only", "dynamic", "int8")
CALIBRATION = 256
THREADS = (1, 2)
WITHIN, TIME_SHARE = 0.05, 0.5


@dataclass(frozen=True)
class Verdict:
    """Of one goal: what was chosen, what the truth's best is, how much worse the choice is by the truth (a share;
    infinite where it misses the goal by more than 5 %), and the seconds of measuring."""

    goal: str
    chosen: str
    best: str
    worse: float
    seconds: float

    @property
    def right(self) -> bool:
        return self.worse <= WITHIN


@click.command(help=__doc__)
@click.option("--photos", default=25_000, show_default=True, help="To train on; fewer for a quick look.")
@click.option("--epochs", default=3, show_default=True)
@click.option("--networks", multiple=True, default=NETWORKS, help="By name.")
@click.option("--judged", default=2_000, show_default=True, help="Photos that accuracy is measured on.")
@click.option("--work", default=ROOT / "build" / "bench" / "select", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(photos: int, epochs: int, networks: tuple[str, ...], judged: int, work: Path, out: Path) -> None:
    data = labelled(photos_for(work, photos), judged)
    models = [model for name in networks for model in variants(name, photos, epochs, work, data)]
    candidates = cases(models, usual_kinds(), THREADS)
    results = read_results(work / "results.json")
    if "exhaustive" not in results:
        began = perf_counter()
        write_report(bench(candidates, data=data), work / "truth.json")
        results["exhaustive"] = perf_counter() - began
        keep_results(work / "results.json", results)
    truth = read_report(work / "truth.json")
    for goal in goals(truth.results):
        if goal not in results:
            results[goal] = selected(candidates, goal, data)
            keep_results(work / "results.json", results)
    verdicts = [judge(goal, results[goal], truth.results) for goal in goals(truth.results)]
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(report(verdicts, truth, results["exhaustive"], len(models))) + "\n"
    (out / "select.md").write_text(page)
    shown = verdicts[1]
    chosen = next(each for each in truth.results if each.name == shown.chosen)
    draw_choice(truth.results, chosen, shown.goal, out / "select.png")
    print(page)


def labelled(path: str, photos: int) -> Labelled:
    """Validation photos at 32², which no training here has seen; the test photos stay untouched."""
    from lykeion.nets.training import load_data, some

    chosen = some(load_data(path, height=32, width=32, channels=3, reporter=SILENT).validation, photos)
    return Labelled(chosen.read(np.arange(len(chosen))), chosen.labels)


def photos_of(data: Labelled) -> np.ndarray:
    return normalise(data.photos)


def variants(name: str, photos: int, epochs: int, work: Path, data: Labelled) -> Iterator[ModelFile]:
    """A trained network as files: float32 first, then quantized."""
    directory = work / f"{name}-{photos}-{epochs}"
    files = [directory / f"{kind}.tflite" for kind in ("float32", *QUANTIZED)]
    if not files[0].exists():
        files[0].parent.mkdir(parents=True, exist_ok=True)
        content = train(name, photos_for(work, photos), epochs, directory / "run")
        for file, kind in zip(files[1:], QUANTIZED, strict=True):
            file.write_bytes(convert(content, kind, [], photos_of(data)[:CALIBRATION]))
        files[0].write_bytes(content)  # last: it says that all are there
    for file in files:
        yield ModelFile(f"{name.removeprefix('mobilenet-').partition('@')[0]} {file.stem}", file.read_bytes())


def train(name: str, data: str, epochs: int, run: Path) -> bytes:
    from lykeion.nets.training import Recipe, load_data, load_network, train_network

    train_network(find(name), load_data(data, height=32, width=32, channels=3), Recipe(epochs=epochs), run)
    return write_litert(*load_network(run), output="logits")


def goals(truth: Sequence[BenchResult]) -> list[str]:
    """Goals that divide these candidates: thresholds from their quartiles, in three digits."""
    latency = np.quantile([each.latency_ms for each in truth], (0.25, 0.5))
    accuracy = np.quantile([each.top1 or 0 for each in truth], (0.25, 0.75))
    memory = statistics.median(each.memory_bytes or 0 for each in truth)
    return [
        "minimise latency_ms",
        f"top1 >= {accuracy[1]:.3f}, minimise latency_ms",
        f"latency_ms <= {latency[0]:.3g}, maximise top1",
        f"latency_ms <= {latency[1]:.3g} and top1 >= {accuracy[0]:.3f}, minimise size_bytes",
        f"top1 >= {accuracy[0]:.3f} and threads = 1, minimise energy_uj",
        f"memory_bytes <= {memory:.3g} and latency_ms <= {latency[1]:.3g}, maximise top1",
    ]


def selected(candidates: Sequence[Case], goal: str, data: Labelled) -> dict[str, Any]:
    parsed, began = parse_goal(goal), perf_counter()
    found = select(candidates, parsed, data=data if "top1" in parsed.names else None)
    seconds = perf_counter() - began
    return {"chosen": found.chosen.name if found.chosen else "", "seconds": seconds, "steps": dict(found.seconds)}


def judge(text: str, result: Mapping[str, Any], truth: Sequence[BenchResult]) -> Verdict:
    goal = parse_goal(text)
    best, chosen = choose(truth, goal), next((each for each in truth if each.name == result["chosen"]), None)
    if best is None or chosen is None:
        worse = 0.0 if best is chosen else float("inf")
    else:
        target, reached = best.known[goal.objective], chosen.known[goal.objective]
        worse = max(0.0, target / reached - 1 if goal.maximise else reached / target - 1)
        # Of a time a little above the limit, one measurement says yes and the next no.
        near = {
            name: relaxed(value) if name.endswith("_ms") else exact(value) for name, value in chosen.known.items()
        }
        if goal.truth(near) is False:
            worse = float("inf")
    return Verdict(text, result["chosen"], best.name if best else "", worse, result["seconds"])


def relaxed(value: float) -> tuple[float, float]:
    return value / (1 + WITHIN), value * (1 + WITHIN)


def report(verdicts: Sequence[Verdict], truth: BenchReport, exhaustive: float, models: int) -> Iterator[str]:
    seconds = [verdict.seconds for verdict in verdicts]
    engines = dict.fromkeys(f"{each.engine} {each.engine_version}" for each in truth.results)
    held = all(verdict.right for verdict in verdicts) and max(seconds) < TIME_SHARE * exhaustive
    yield "# Choosing model, engine and threads"
    yield ""
    yield (
        f"{models} model files (MobileNets on Fashion-MNIST at 32², in float32 and quantized three ways), engines "
        f"{', '.join(engines)}, 1 and 2 threads: {len(truth.results)} candidates that run, "
        f"{len(truth.refused)} that an engine refuses. {describe()}."
    )
    yield ""
    yield (
        f"Measured to the end, all take {exhaustive:.0f} s: first runs in processes of their own, latency in turns, "
        "accuracy. *Worse* is how far the choice lies from the best by that measurement; a time may miss its limit "
        "by 5 %."
    )
    yield ""
    yield "| goal | chosen | best | worse | seconds | of all |"
    yield "|---|---|---|---|---|---|"
    for verdict in verdicts:
        yield (
            f"| `{verdict.goal}` | {verdict.chosen or 'none'} | {verdict.best or 'none'} | {verdict.worse:.1%} "
            f"| {verdict.seconds:.0f} | {verdict.seconds / exhaustive:.0%} |"
        )
    yield ""
    yield (
        f"The bar: every choice within {WITHIN:.0%}, in less than {TIME_SHARE:.0%} of the time: "
        f"{'held' if held else 'missed'}. While the truth was measured, the reference's median pass lay "
        f"{truth.busy:.1%} above its best."
    )
    yield ""
    yield f"![All candidates, and the choice for {json.dumps(verdicts[1].goal)}](select.png)"
    yield ""
    yield "Written by `python benchmarks/select_engine.py`."


if __name__ == "__main__":
    main()
