"""``lykeion experiment report``: what an experiment has shown so far."""

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from lykeion.cli.delivery.fleet_resource_place import place_options
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import DONE_BUT, print_line
from lykeion.core.files import write_atomically, writing
from lykeion.delivery import experiments

from .experiment_commands import log_of, one_experiment


@click.command()
@click.argument("name")
@click.option("--by", multiple=True, metavar="ATTRIBUTE", help="Exploratory tables by such as class; repeatable.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="As it was then; by default now.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw all looks so far.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write the record, as JSON.")
@place_options
@json_option
def report(
    name: str,
    by: Sequence[str],
    until: datetime | None,
    plot: Path | None,
    export: Path | None,
    fleet: Path,
    namespace: str,
    as_json: bool,
) -> None:
    """Show the arms of an experiment beside its control, with intervals that hold at every look.

    NAME may be the file of a record: its results are computed again from the events, and the exit code is 3 if they
    are others.
    """
    log = log_of(fleet)
    if until and until.timestamp() > time.time():
        raise click.BadParameter("nobody knows yet what will be; give a time that is past", param_hint="--until")
    if name.endswith(".json"):
        record = experiments.read_record(Path(name))
        experiment, seconds = record.experiment, record.until
        differences = record.differences(log)
    else:
        experiment, differences = one_experiment(fleet, namespace, name), []
        seconds = until.timestamp() if until else time.time()
    found = experiments.results(experiment, log, seconds, by or None)
    if plot:
        paths = {
            f"{metric.name}, {arm.name}": experiments.looks(experiment, log, seconds, metric.name, arm.name)
            for metric in experiment.spec.metrics
            for arm in experiment.spec.arms[1:]
        }
        experiments.plot_looks(paths, experiment.metadata.name, plot)
    if export:
        with writing(export, experiments.ExperimentRecordError):
            document = experiments.record_of(experiment, experiments.results(experiment, log, seconds)).document()
            write_atomically(export, json.dumps(document, indent=1).encode())
    if as_json:
        print_json({**found.document(), "state": experiment.status.state, "differences": differences})
    else:
        _print(experiment, found)
    if differences:
        print_line(f"{name}: computed again, these are others: {', '.join(differences)}", err=True)
        sys.exit(DONE_BUT)


def _print(experiment: "experiments.Experiment", found: "experiments.ExperimentResults") -> None:
    spec, status = experiment.spec, experiment.status
    print_line(f"{found.experiment}: {status.state or 'Pending'}; declared as {found.declaration}")
    names = [each.name for each in spec.arms] if spec.design != "Interleaving" else ["interleaved"]
    counts = ", ".join(f"{name} {n:,}" for name, n in zip(names, found.counted, strict=True))
    print_line(f"units counted: {counts}; exposed: {sum(found.exposed):,}")
    if found.mismatch:
        print_line(f"units are in other shares than declared (p = {found.mismatch_p:.2g}): compare nothing")
    if found.mixed:
        print_line(f"{found.mixed:,} units were exposed to several arms; they count for their first")
    columns = ("metric", "arm", "control", "value", "difference", "interval", "relative", "p", "says")
    print_table(columns, [_row(each) for each in found.results], right=columns[2:8])
    if found.exploratory:
        rows = [
            (f"{each.attribute} {each.value}", f"{sum(each.result.units):,}", *_row(each.result)[:7])
            for each in found.exploratory
        ]
        title = "exploratory: one in twenty such rows differs by chance"
        print_table(("of", "units", *columns[:7]), rows, title=title, right=("units", *columns[2:7]))


def _row(result: "experiments.ArmResult") -> tuple[Any, ...]:
    exact = result.low is None and result.relative_low is not None
    ends = (result.relative_low, result.relative_high) if exact else (result.low, result.high)
    return (
        result.metric,
        result.arm,
        _number(result.control),
        _number(result.value),
        _number(result.difference, sign=True),
        " to ".join(_share(each) if exact else _number(each, sign=True) for each in ends),
        _share(result.relative),
        f"{result.corrected_p:.2g}",
        result.verdict,
    )


def _number(value: float | None, sign: bool = False) -> str:
    return "?" if value is None else f"{value:+.4g}" if sign else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "?" if value is None else f"{value:+.1%}"
