"""Options of commands that run models on engines, and the objects that they name."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from lykeion import inputs
from lykeion.cli.options import (
    FIT,
    PICTURE,
    json_option,
    quiet_option,
    refuse_options,
    registry_option,
    skip_bad_option,
    store_option,
    trust_option,
)
from lykeion.core import Reporter
from lykeion.engines import choosing, running
from lykeion.nets import training

engine_option = click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="As in lykeion engines list; default: all usual ones."
)
_MEASURING_OPTIONS = (
    engine_option,
    click.option(
        "--threads",
        multiple=True,
        type=click.IntRange(1, 256),
        default=(1,),
        show_default=True,
        help="May be repeated.",
    ),
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Labelled photos, as lykeion train reads them.",
    ),
    skip_bad_option,
    click.option("--fit", type=FIT, help="How photos are fitted to the network's size, as in lykeion train."),
    click.option(
        "--photos", type=click.IntRange(1), default=2000, show_default=True, help="At most this many of them."
    ),
    click.option(
        "--journal", type=click.Path(path_type=Path), metavar="PATH", help="Keep timings there, and resume from them."
    ),
    click.option("--png", type=PICTURE, metavar="FILE", help="Draw the results."),
    trust_option,
    store_option,
    registry_option,
    json_option,
    quiet_option,
)


def measuring_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of commands that measure models: engines, threads, evaluation photos, and where results are written."""
    for option in reversed(_MEASURING_OPTIONS):
        command = option(command)
    return command


def candidates(
    models: Sequence[str],
    engines: Sequence[str],
    threads: Sequence[int],
    trust: Path | None = None,
    store: Path | None = None,
) -> "list[choosing.Case]":
    """Every model on every engine with every number of threads."""
    return choosing.cases(inputs.open_models(models, trust, store), running.find_kinds(engines), threads)


def judging(
    data: Path | None,
    cases: "Sequence[choosing.Case]",
    photos: int,
    fit: "training.Fit | None",
    skip_bad: bool,
    reporter: Reporter,
) -> "tuple[choosing.Labelled | None, tuple[str, ...]]":
    """The photos on which the models of the cases are evaluated, if ``--data`` is given; and those left out."""
    if data is None:
        refuse_options("without --data no photos are read", "fit", "photos", "skip_bad")
        return None, ()
    models = list({case.model.name: case.model for case in cases}.values())
    return inputs.judging_photos(data, models, fit, limit=photos, skip_bad=skip_bad, reporter=reporter)
