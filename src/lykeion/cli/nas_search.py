"""``lykeion nas search`` and ``lykeion nas compare``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, quiet_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from lykeion.nas.comparison import Entry, Report
    from lykeion.nas.strategies import Found
    from lykeion.nets.training import Recipe

STRATEGIES = ("single-path", "fbnet", "mnasnet", "evolution", "random")


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands ask: the space, the device, the data, the budget, and how networks are trained."""
    for option in reversed(
        [
            click.option("--space", default="mobilenetv3-32", show_default=True, help="The search space, by name."),
            click.option("--device", required=True, metavar="PROFILE", help="A device profile's file, or pixel1."),
            click.option("--data", required=True, type=click.Path(path_type=Path), help="As lykeion train takes it."),
            click.option("--run", required=True, type=click.Path(path_type=Path), help="Where everything is kept."),
            click.option(
                "--budget-steps",
                type=click.IntRange(1),
                default=4000,
                show_default=True,
                help="Training steps that a search may take, of a supernet or of all children together.",
            ),
            click.option(
                "--budget-seconds", type=click.FloatRange(0), help="Seconds too, for what samples children."
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
                "--shift", type=int, default=2, show_default=True, help="Move photos by up to so many pixels."
            ),
            json_option,
            quiet_option,
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.option("--strategy", type=click.Choice(STRATEGIES), default="single-path", show_default=True)
@click.option("--target-ms", type=click.FloatRange(0, min_open=True), required=True, help="Latency not to exceed.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--children", type=click.Path(path_type=Path), help="A table of trained children to share.")
@click.option("--train", is_flag=True, help="Train the found network too, into DIR/trained.")
@_shared
def search(
    strategy: str,
    target_ms: float,
    seed: int,
    children: Path | None,
    train: bool,
    run: Path,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Find the most accurate network of a space that takes at most --target-ms on a device.

    \b
      lykeion nas profile --out here.json
      lykeion nas search --device here.json --target-ms 0.1 --data photos --run runs/search

    The run directory gets architecture.json, history.jsonl and a picture, search.png; the same command goes on where
    it was stopped.
    """
    from lykeion.nas.latency import find_profile
    from lykeion.nas.search import Request, open_space
    from lykeion.nas.search import search as run_search

    child, final, budget = _settings(asked)
    profile = find_profile(asked["device"])
    request = Request(
        strategy,
        asked["space"],
        profile,
        target_ms,
        str(asked["data"]),
        child,
        budget,
        seed,
        None if children is None else str(children),
    )
    space, data = open_space(asked["space"], str(asked["data"]))
    found = run_search(request, run, quiet=quiet, data=data)
    accuracy = None
    if train and found.genotype is not None:
        from lykeion.nas.final import train_final

        accuracy = train_final(space.architecture(found.genotype), data, final, run / "trained", quiet=quiet).accuracy
    _show_found(found, run, accuracy, as_json)


@click.command()
@click.option("--strategies", default=",".join(STRATEGIES), show_default=True, help="Separated by commas.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Searches a strategy.")
@click.option("--target-ms", type=click.FloatRange(0, min_open=True), help="Latency not to exceed.")
@click.option("--target", metavar="NAME", help="A baseline, whose measured latency is the target instead.")
@click.option("--baselines", metavar="NAMES", help="Separated by commas; by default V2 and V3 at several widths.")
@_shared
def compare(
    strategies: str,
    seeds: int,
    target_ms: float | None,
    target: str | None,
    baselines: str | None,
    run: Path,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Compare strategies by equal budgets, equal final training and measured latency, with MobileNets beside them.

    \b
      lykeion nas compare --device here.json --target mobilenet-v2-0.35 --data photos --run runs/comparison

    Latency is measured on this machine in the end, so the profile must be of it: keep it quiet. The same command goes
    on where it was stopped. The report is in DIR/report.json, the picture in DIR/pareto.png.
    """
    from lykeion.nas.baselines import NAMES
    from lykeion.nas.compare import compare as run_comparison
    from lykeion.nas.comparison import Comparison
    from lykeion.nas.latency import find_profile

    aim = target if target_ms is None else target_ms
    if aim is None or (target is not None and target_ms is not None):
        raise click.UsageError("give either --target-ms or --target")
    names = tuple(strategies.split(","))
    child, final, budget = _settings(asked)
    comparison = Comparison(
        names,
        asked["space"],
        find_profile(asked["device"]),
        aim,
        str(asked["data"]),
        budget,
        child,
        final,
        seeds,
        baselines=tuple(baselines.split(",")) if baselines else NAMES,
    )
    report = run_comparison(comparison, run, quiet=quiet)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)


def _settings(asked: dict[str, Any]) -> tuple["Recipe", "Recipe", Any]:
    """Recipes of a child and of the final training, and the budget."""
    from lykeion.nas.strategies import Budget
    from lykeion.nets.training import Recipe

    common = {name: asked[name] for name in ("batch", "learning_rate", "flip", "shift")}
    child = Recipe(steps=asked["child_steps"], **common)
    return child, Recipe(epochs=asked["epochs"], **common), Budget(asked["budget_steps"], asked["budget_seconds"])


def _show_found(found: "Found", run: Path, accuracy: float | None, as_json: bool) -> None:
    from lykeion.nas.space import format_genotype

    genotype = None if found.genotype is None else format_genotype(found.genotype)
    if as_json:
        print_json(
            {
                "genotype": genotype,
                "latency_ms": found.latency_ms,
                "search_accuracy": found.accuracy,
                "final_accuracy": accuracy,
                "steps": found.cost.steps,
                "seconds": found.cost.seconds,
                "peak_bytes": found.cost.peak_bytes,
                "run": str(run),
            }
        )
        return
    rows = [("network", genotype or "none within the target; give a larger budget or target")]
    if genotype:
        rows.append(("latency by the table", f"{found.latency_ms:.4g} ms"))
        rows.append(("accuracy in the search", f"{found.accuracy:.4f} (validation)"))
        rows.append(("architecture", str(run / "architecture.json")))
    if accuracy is not None:
        rows.append(("accuracy when trained", f"{accuracy:.4f} (validation)"))
    rows.append(("cost", _cost(found.cost)))
    print_table(("", ""), rows)


def _show_report(report: "Report") -> None:
    def row(entry: "Entry") -> tuple[object, ...]:
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
