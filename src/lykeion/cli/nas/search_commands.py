"""``lykeion nas search`` and ``lykeion nas compare``."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lykeion import nas
from lykeion.cli.options import FiniteRange, json_option, quiet_option, refuse_options, skip_bad_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import DONE_BUT, Reporter
from lykeion.nets import training

_SAMPLING, _OF_CHILDREN = ("mnasnet", "evolution", "random"), ("child_steps", "budget_seconds")
STRATEGIES = ("single-path", "fbnet", "mnasnet", "evolution", "random")


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    """Options of both commands: the space, the data, the budget, and how networks are trained."""
    for option in reversed(
        [
            click.option("--space", default="mobilenetv3-32", show_default=True, help="The search space, by name."),
            click.option("--data", required=True, type=click.Path(path_type=Path), help="As lykeion train takes it."),
            skip_bad_option,
            click.option("--run", required=True, type=click.Path(path_type=Path), help="The run directory."),
            click.option(
                "--budget-steps",
                type=click.IntRange(1),
                default=4000,
                show_default=True,
                help="Training steps of a search, of a supernet or of all children together.",
            ),
            click.option(
                "--budget-seconds",
                type=FiniteRange(0),
                help="Also a limit in seconds, for strategies that sample.",
            ),
            click.option(
                "--child-steps",
                type=click.IntRange(1),
                default=400,
                show_default=True,
                help="Training steps of a child, for strategies that sample.",
            ),
            click.option(
                "--epochs", type=click.IntRange(1), default=15, show_default=True, help="Of the final training."
            ),
            click.option("--batch", type=click.IntRange(1), default=128, show_default=True, help="Photos a step."),
            click.option(
                "--learning-rate", type=float, default=0.003, show_default=True, help="At its highest, everywhere."
            ),
            click.option("--flip", is_flag=True, help="Mirror half of the photos."),
            click.option(
                "--shift", type=int, default=2, show_default=True, help="Shift photos by up to this many pixels."
            ),
            json_option,
            quiet_option,
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.option("--strategy", type=click.Choice(STRATEGIES), default="single-path", show_default=True)
@click.option("--device", metavar="PROFILE", help="A device profile's file, or pixel1.")
@click.option("--target-ms", type=FiniteRange(0, min_open=True), help="Maximum latency on the device.")
@click.option("--target-uj", type=FiniteRange(0, min_open=True), help="Or maximum modelled energy, in microjoules.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--children", type=click.Path(path_type=Path), help="A table of trained children to share.")
@click.option("--train", is_flag=True, help="Train the found network too, into DIR/trained.")
@_shared
def search(
    strategy: str,
    device: str | None,
    target_ms: float | None,
    target_uj: float | None,
    seed: int,
    children: Path | None,
    train: bool,
    run: Path,
    as_json: bool,
    reporter: Reporter,
    **asked: Any,
) -> None:
    """Find the most accurate network of a space that takes at most --target-ms on a device, or --target-uj anywhere.

    \b
      lykeion nas profile --out here.json
      lykeion nas search --device here.json --target-ms 0.1 --data photos --run runs/search
      lykeion nas search --target-uj 120 --data photos --run runs/frugal

    The run directory gets architecture.json, history.jsonl and a plot, search.png. The same command resumes an
    interrupted search.
    """
    if (target_ms is None) == (target_uj is None):
        raise click.UsageError("give either --target-ms or --target-uj")
    if target_ms is not None and device is None:
        raise click.UsageError("--target-ms is of a device: name its profile with --device")
    if strategy not in _SAMPLING:
        refuse_options(f"{strategy} trains no children", "children", *_OF_CHILDREN)
    if not train:
        refuse_options("without --train nothing is trained after the search", "epochs")
    child, final, budget = _settings(asked)
    request = nas.NasRequest(
        strategy,
        asked["space"],
        nas.find_profile(device) if device else None,
        target_ms,
        str(asked["data"]),
        child,
        budget,
        seed,
        None if children is None else str(children),
        target_uj,
        asked["skip_bad"],
    )
    outcome = nas.search_and_train(request, run, final if train else None, reporter=reporter)
    _show_outcome(outcome, run, as_json)
    if outcome.network is None or outcome.skipped:
        sys.exit(DONE_BUT)


@click.command()
@click.option("--device", required=True, metavar="PROFILE", help="A device profile's file, or pixel1.")
@click.option("--strategies", default=",".join(STRATEGIES), show_default=True, help="Separated by commas.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Searches per strategy.")
@click.option("--target-ms", type=FiniteRange(0, min_open=True), help="Maximum latency.")
@click.option("--target", metavar="NAME", help="A baseline, whose measured latency is the target instead.")
@click.option("--baselines", metavar="NAMES", help="Separated by commas; by default V2 and V3 at several widths.")
@_shared
def compare(
    device: str,
    strategies: str,
    seeds: int,
    target_ms: float | None,
    target: str | None,
    baselines: str | None,
    run: Path,
    as_json: bool,
    reporter: Reporter,
    **asked: Any,
) -> None:
    """Compare strategies, and MobileNets, with equal budgets, equal final training and measured latency.

    \b
      lykeion nas compare --device here.json --target mobilenet-v2-0.35 --data photos --run runs/comparison

    Latency is measured on this machine at the end, so the profile must be of this machine; keep it quiet. The same
    command resumes an interrupted comparison. The report is in DIR/report.json, the plot in DIR/pareto.png.
    """
    aim = target if target_ms is None else target_ms
    if aim is None or (target is not None and target_ms is not None):
        raise click.UsageError("give either --target-ms or --target")
    names = tuple(strategies.split(","))
    if not set(names) & set(_SAMPLING):
        refuse_options(f"{strategies} train no children", *_OF_CHILDREN)
    child, final, budget = _settings(asked)
    comparison = nas.SearchComparison(
        names,
        asked["space"],
        nas.find_profile(device),
        aim,
        str(asked["data"]),
        budget,
        child,
        final,
        seeds,
        baselines=tuple(baselines.split(",")) if baselines else nas.BASELINES,
        skip_bad=asked["skip_bad"],
    )
    _, data = nas.open_space(asked["space"], str(asked["data"]), reporter, skip_bad=asked["skip_bad"])
    report = nas.compare(comparison, run, data=data, reporter=reporter)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)
    if data.skipped or any(report.not_found.values()):
        sys.exit(DONE_BUT)


def _settings(asked: dict[str, Any]) -> tuple["training.Recipe", "training.Recipe", Any]:
    """The recipes for a child and for the final training, and the budget."""
    common = {name: asked[name] for name in ("batch", "learning_rate", "flip", "shift")}
    child = training.Recipe(steps=asked["child_steps"], **common)
    return (
        child,
        training.Recipe(epochs=asked["epochs"], **common),
        nas.Budget(asked["budget_steps"], asked["budget_seconds"]),
    )


def _show_outcome(outcome: "nas.SearchOutcome", run: Path, as_json: bool) -> None:
    found = outcome.found
    if as_json:
        print_json(
            {
                "genotype": outcome.network,
                "latency_ms": outcome.latency_ms,
                "energy_uj": outcome.energy_uj,
                "search_accuracy": found.accuracy,
                "final_accuracy": outcome.final_accuracy,
                **asdict(found.cost),
                "run": str(run),
            }
        )
        return
    rows = [("network", outcome.network or "none within the target; give a larger budget or target")]
    if outcome.latency_ms is not None:
        rows.append(("latency by the table", f"{outcome.latency_ms:.4g} ms"))
    if outcome.network:
        rows.append(("energy", f"{outcome.energy_uj:.4g} µJ (modelled)"))
        rows.append(("accuracy in the search", f"{found.accuracy:.4f} (validation)"))
        rows.append(("architecture", str(run / "architecture.json")))
    if outcome.final_accuracy is not None:
        rows.append(("accuracy when trained", f"{outcome.final_accuracy:.4f} (validation)"))
    rows.append(("cost", _cost(found.cost)))
    print_table(("", ""), rows)


def _show_report(report: "nas.ComparisonReport") -> None:
    def row(entry: "nas.ComparedNetwork") -> tuple[object, ...]:
        difference = entry.difference
        return (
            entry.name,
            f"{entry.latency_ms:.4g}",
            f"{100 * entry.test_accuracy:.2f}",
            f"{100 * entry.test_spread:.2f}",
            f"{100 * difference.low:+.2f} … {100 * difference.high:+.2f}" if difference else "",
            entry.verdict,
            _cost(entry.search_cost) if entry.search_cost else "",
        )

    ranked = sorted(report.entries, key=lambda entry: entry.latency_ms)
    print_table(
        ("network", "ms", "test, %", "spread", "less rival's, 95 %", "verdict", "search"),
        map(row, ranked),
        title=f"target {report.target_ms:.4g} ms, rival {report.rival}",
        right=("ms", "test, %", "spread"),
    )
    for name, searches in report.not_found.items():
        if searches:
            print_table(("",), [(f"{name}: {searches} searches found no network within the target",)])


def _cost(cost: Any) -> str:
    return f"{cost.steps:,} steps, {cost.seconds:,.0f} s, {cost.peak_bytes / 2**20:,.0f} MiB"
