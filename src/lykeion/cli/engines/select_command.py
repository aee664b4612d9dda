"""``lykeion engines select``: the best model, engine and number of threads for a goal, here or on a fleet."""

import sys
from pathlib import Path
from typing import Any

import click

from lykeion.cli.options import refuse_options
from lykeion.cli.output import print_json, print_table
from lykeion.core import DONE_BUT, Reporter, print_line
from lykeion.engines import choosing
from lykeion.nets import training

from .engine_options import candidates, judging, measuring_options

HOST = "host"


@click.command()
@click.option("--model", "models", multiple=True, metavar="MODEL", help="A candidate; repeat it. As for bench.")
@click.option("--device", default=HOST, show_default=True, help="host: measure here.")
@click.option(
    "--devices",
    multiple=True,
    metavar="A.json,B.json",
    help="Instead: choose for all devices that wrote these reports.",
)
@click.option("--goal", required=True, help="Such as 'latency_ms <= 5 and top1 >= 0.90, minimise size_bytes'.")
@measuring_options
def select(
    models: tuple[str, ...],
    device: str,
    devices: tuple[str, ...],
    goal: str,
    engines: tuple[str, ...],
    threads: tuple[int, ...],
    data: Path | None,
    skip_bad: bool,
    fit: "training.Fit | None",
    photos: int,
    journal: Path | None,
    png: Path | None,
    trust: Path | None,
    store: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Choose the model, engine and number of threads that best meet a goal.

    Measuring a candidate stops once it is certain to miss the goal or to be worse than another. With --devices,
    choose the fewest models that serve all devices within the goal, from the reports that `bench --out` wrote.
    """
    wanted = choosing.parse_goal(goal)
    if devices:
        ours = ("models", "device", "engines", "threads", "data", "skip_bad", "fit", "photos", "journal", "png")
        refuse_options("--devices chooses from reports", *ours)
        _select_for_fleet(",".join(devices), wanted, as_json)
        return
    if device != HOST or not models:
        raise click.UsageError("name candidates with --model; for devices other than this host, give --devices")
    found_cases = candidates(models, engines, threads, trust, store)
    judged, skipped = judging(data, found_cases, photos, fit, skip_bad, reporter)
    found = choosing.select(found_cases, wanted, data=judged, journal=journal, reporter=reporter)
    if as_json:
        print_json(_selection_json(found))
    else:
        _print_selection(found)
    if png and found.results:
        choosing.draw_choice(found.results, found.chosen, goal, png)
    if found.chosen is None or skipped:
        sys.exit(DONE_BUT)


def _selection_json(found: "choosing.Selection") -> dict[str, Any]:
    return {
        "goal": found.goal.text,
        "chosen": found.chosen and found.chosen.known,
        "reasons": found.reasons,
        "candidates": [
            {"name": each.name, "outcome": each.outcome, "reason": each.reason, "known": dict(each.known)}
            for each in found.standings
        ],
        "seconds": found.seconds,
    }


def _print_selection(found: "choosing.Selection") -> None:
    judged = any("top1" in each.known for each in found.standings)
    columns = ("model", "engine", "outcome", "ms", *(("top-1",) if judged else ()), "KB", "because")
    print_table(columns, [_row(each, judged) for each in _best_first(found)], right=("ms", "top-1", "KB"))
    print_line(f"{found.goal.text}: {found.chosen.name if found.chosen else 'none'}")
    for reason in found.reasons:
        print_line(f"  {reason}")


def _best_first(found: "choosing.Selection") -> "list[choosing.Standing]":
    order = ("chosen", "meets", "cut", "misses", "refused")
    return sorted(found.standings, key=lambda each: order.index(each.outcome))


def _row(each: "choosing.Standing", judged: bool) -> tuple[object, ...]:
    known = {name: value for name, value in each.known.items() if isinstance(value, tuple)}
    return (
        each.known["model"],
        f"{each.known['engine']} {known['threads'][0]:.0f}",
        each.outcome,
        _between(known.get("latency_ms")),
        *((f"{known['top1'][0]:.2%}" if "top1" in known else "",) if judged else ()),
        f"{known['size_bytes'][0] / 1e3:,.0f}",
        "" if each.outcome == "cut" else each.reason,
    )


def _between(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    low, high = interval
    return f"{low:.3g}" if low == high else f"{low:.2g}–{high:.2g}"


def _select_for_fleet(devices: str, goal: "choosing.Goal", as_json: bool) -> None:
    files = list(dict.fromkeys(name for name in devices.split(",") if name))
    found = choosing.cover({name: choosing.read_report(Path(name)) for name in files}, goal)
    if as_json:
        print_json(
            {
                "goal": goal.text,
                "artifacts": found.artifacts,
                "served": {device: result.known for device, result in found.served.items()},
                "unserved": found.unserved,
                "coverage": found.coverage,
                "exact": found.exact,
            }
        )
    else:
        _print_cover(found, goal)
    if found.unserved:
        sys.exit(DONE_BUT)


def _print_cover(found: "choosing.Cover", goal: "choosing.Goal") -> None:
    rows = [
        (device, each.model, each.engine, each.threads, f"{each.latency_ms:.3f}")
        for device, each in found.served.items()
    ]
    rows += [(device, "nothing meets the goal", "", "", "") for device in found.unserved]
    print_table(("device", "model", "engine", "thr.", "ms"), rows, title=goal.text, right=("thr.", "ms"))
    proof = "no fewer would do" if found.exact else "perhaps fewer would do: too many sets to try all"
    devices = len(found.served) + len(found.unserved)
    print_line(f"{len(found.artifacts)} models serve {found.coverage:.0%} of {devices} devices; {proof}")
