"""``lykeion engines bench``: models on engines, measured side by side."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lykeion.cli.options import refuse_options
from lykeion.cli.output import print_json, print_table
from lykeion.core import DONE_BUT, LykeionError, Reporter, print_line
from lykeion.engines import choosing, running
from lykeion.nets import training

from .engine_options import candidates, judging, measuring_options


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--photo",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The photo for timing preprocessing.",
)
@click.option("--operators", is_flag=True, help="Times of single operators, if the engine reports them.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the report there.")
@measuring_options
def bench(
    models: tuple[str, ...],
    engines: tuple[str, ...],
    threads: tuple[int, ...],
    photo: Path | None,
    data: Path | None,
    skip_bad: bool,
    fit: "training.Fit | None",
    photos: int,
    operators: bool,
    journal: Path | None,
    out: Path | None,
    png: Path | None,
    trust: Path | None,
    store: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Measure MODELs on engines, in turns: latency, cold start, memory, size, energy, and time spent on a photo.

    A MODEL is a .tflite file, the directory of a training or of a step of a compression, a version (shoes:v3), or the
    name of a network (then with random weights). Every model is first tried in a process of its own. Keep the machine
    quiet.
    """
    wanted = candidates(models, engines, threads, trust, store)
    if operators:
        ours = ("photo", "data", "skip_bad", "fit", "photos", "journal", "out", "png")
        refuse_options("--operators tells of operators alone", *ours)
        _print_operators(wanted, as_json)
        return
    judged, skipped = judging(data, wanted, photos, fit, skip_bad, reporter)
    report = choosing.bench(wanted, data=judged, photo=photo, journal=journal, reporter=reporter)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    if out:
        choosing.write_report(report, out)
    if not report.results:
        raise running.ModelError("no engine can run any of these models")
    if png:
        choosing.draw_choice(report.results, None, report.machine.processor, png)
    if skipped:
        sys.exit(DONE_BUT)


def _print_operators(cases: "Sequence[choosing.Case]", as_json: bool) -> None:
    found: list[dict[str, Any]] = []
    for case in cases:
        entry: dict[str, Any] = {"model": case.model.name, "engine": case.kind.name, "threads": case.threads}
        try:
            times = case.operator_times()
            entry |= {"operators": [asdict(each) for each in times], "by_kind": running.by_kind(times)}
        except LykeionError as error:
            entry["unsupported"] = str(error)
        found.append(entry)
    if as_json:
        print_json({"profiles": found})
        return
    for each in found:
        title = f"{each['model']} · {each['engine']} · {each['threads']}"
        if "unsupported" in each:
            print_line(f"{title}: {each['unsupported']}")
            continue
        kinds = each["by_kind"]
        rows = [(kind, f"{ms * 1e3:.1f}", f"{ms / sum(kinds.values()):.0%}") for kind, ms in kinds.items()]
        print_table(("operators", "µs a run", "share"), rows, title=title, right=("µs a run", "share"))


def _print_report(report: "choosing.BenchReport") -> None:
    judged = any(each.top1 is not None for each in report.results)
    metered = any(each.energy_source == "RAPL" for each in report.results)
    more = (*(("top-1",) if judged else ()), *(("µJ",) if metered else ()))
    columns = ("model", "engine", "ms", "p50", "p90", "p99", "cold", "MB", *more)
    print_table(columns, [_row(each, judged, metered) for each in report.results], right=columns[2:])
    machine = f"{report.machine.processor}, {report.machine.cores} cores"
    if report.results:
        print_line(f"{machine}; the reference's median pass lay {report.busy:.1%} above its best")
    for each in {result.model: result for result in report.results}.values():
        line = f"{each.model}: {each.size_bytes / 1e3:,.0f} KB, {each.precision}, "
        line += f"{each.multiply_adds / 1e6:.1f} M multiply-adds"
        if each.energy_source == "modelled":
            line += f", {each.energy_uj:,.0f} µJ modelled"
        if each.preprocess_ms is not None and each.postprocess_ms is not None:
            line += f"; besides, a photo takes {each.preprocess_ms:.2f} ms before and {each.postprocess_ms:.3f} after"
        print_line(line)
    for refused in report.refused:
        print_line(f"{refused.model} · {refused.engine} · {refused.threads}: {refused.reason}")


def _row(each: "choosing.BenchResult", judged: bool, metered: bool) -> tuple[object, ...]:
    return (
        each.model,
        f"{each.engine} {each.threads}",
        *(f"{ms:.3g}" for ms in (each.latency_ms, each.p50_ms, each.p90_ms, each.p99_ms)),
        "" if each.cold_start_ms is None else f"{each.cold_start_ms:.0f}",
        f"{each.memory_bytes / 1e6:.0f}" if each.memory_bytes else "",
        *(("" if each.top1 is None else f"{each.top1:.2%}",) if judged else ()),
        *((f"{each.energy_uj:,.0f}",) if metered else ()),
    )
