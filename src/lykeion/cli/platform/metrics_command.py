"""``lykeion metrics``: what a program reports while it trains."""

import json
import sys
from contextlib import aclosing
from pathlib import Path

import click

from lykeion import platform
from lykeion.cli.options import PICTURE, json_option
from lykeion.cli.output import describe, print_json, print_table
from lykeion.core import print_line

from .platform_options import namespace_option, target_argument, with_platform


@click.command()
@target_argument
@click.option(
    "--follow", "-f", is_flag=True, help="Print each row as it is written, until the resource has finished."
)
@click.option("--plot", type=PICTURE, metavar="FILE", help="Draw each metric over steps, as .png, .svg or .pdf.")
@namespace_option
@json_option
def metrics(target: str, follow: bool, plot: Path | None, namespace: str, as_json: bool) -> None:
    """Show the metrics of a training: of each the last value and the bounds.

    A program writes them to metrics.jsonl in $LYKEION_RUN, one JSON object a line. With --json all rows are printed,
    with --follow one document a line.
    """
    key = platform.parse_key(target, platform.KINDS, namespace)

    async def work(store: "platform.PlatformStore") -> list[dict[str, float]]:
        rows: list[dict[str, float]] = []
        async with aclosing(store.metrics(key, follow=follow)) as found:
            async for row in found:
                if plot or not follow:
                    rows.append(row)
                if follow:
                    print_line(json.dumps(row) if as_json else describe(row))
                    sys.stdout.flush()
        return rows

    rows = with_platform(work)
    if plot:
        platform.draw_metrics(rows, str(key), plot)
    if follow:
        return
    if as_json:
        print_json(rows)
    elif not rows:
        print_line(f"{key} has no metrics yet", err=True)
    else:
        table = [
            (each.name, each.last, each.step, each.minimum, each.maximum) for each in platform.summarize_metrics(rows)
        ]
        print_table(
            ("Metric", "Last", "Step", "Minimum", "Maximum"), table, right=("Last", "Step", "Minimum", "Maximum")
        )
