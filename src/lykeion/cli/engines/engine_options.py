"""Options of commands that run models on engines, and what they name."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lykeion.cli.options import FIT, PICTURE
from lykeion.core import Reporter

if TYPE_CHECKING:
    from lykeion.engines.choosing import Case, Labelled
    from lykeion.nets.training import Fit

engine_option = click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="As in lykeion engines list; default: all usual ones."
)
threads_option = click.option(
    "--threads", multiple=True, type=click.IntRange(1, 256), default=(1,), show_default=True, help="May be repeated."
)
data_option = click.option(
    "--data", type=click.Path(path_type=Path), metavar="PATH", help="Labelled photos, as lykeion train reads them."
)
fit_option = click.option(
    "--fit",
    type=FIT,
    help="How photos are fitted to the network's size, as in lykeion train.",
)
photos_option = click.option(
    "--photos", type=click.IntRange(1), default=2000, show_default=True, help="At most this many of them."
)
png_option = click.option("--png", type=PICTURE, metavar="FILE", help="Draw the results.")
journal_option = click.option(
    "--journal", type=click.Path(path_type=Path), metavar="PATH", help="Keep timings there, and resume from them."
)


def candidates(
    models: Sequence[str],
    engines: Sequence[str],
    threads: Sequence[int],
    trust: Path | None = None,
    store: Path | None = None,
) -> "list[Case]":
    """Every model on every engine with every number of threads."""
    from lykeion.engines.choosing import cases
    from lykeion.engines.running import find_kinds
    from lykeion.inputs import open_models

    return cases(open_models(models, trust, store), find_kinds(engines), threads)


def judging(
    data: Path | None, cases: "Sequence[Case]", photos: int, fit: "Fit | None", reporter: Reporter
) -> "Labelled | None":
    """The photos to judge the models of the cases by, where ``--data`` names any."""
    if data is None:
        return None
    from lykeion.inputs import judging_photos

    models = list({case.model.name: case.model for case in cases}.values())
    return judging_photos(data, models, fit, limit=photos, reporter=reporter)
