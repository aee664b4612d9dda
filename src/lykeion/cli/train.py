"""``lykeion train``: trains an architecture on photos and writes the network to disk."""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from lykeion.core import DONE_BUT, SILENT, Reporter
from lykeion.nets.training import FITS, SPLIT_NAMES, Recipe

from .options import json_option, quiet_option, skip_bad_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from lykeion.nets.training import Dataset, TrainingReport

_SHOWN_CLASSES = 20


def _recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each setting of a recipe."""
    hints = get_type_hints(Recipe, include_extras=True)
    for setting in reversed(fields(Recipe)):
        annotated, help = get_args(hints[setting.name])
        kind = next(part for part in (*get_args(annotated), annotated) if part is not NoneType)
        choices = get_origin(annotated) is Literal
        many = get_origin(annotated) is tuple
        known = setting.default not in (None, (), False)
        command = click.option(
            f"--{setting.name.replace('_', '-')}",
            setting.name,
            type=click.Choice(get_args(annotated)) if choices else None if kind is bool else kind,
            is_flag=annotated is bool,
            multiple=many,
            default=None,
            help=f"{help}{f'  [default: {setting.default}]' if known else ''}",
        )(command)
    return command


@click.command()
@click.argument("network")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder, idx folder, npz or manifest.")
@click.option("--run", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The run directory.")
@click.option("--fit", type=click.Choice(FITS), help="How photos are fitted to the network's size.")
@click.option("--grey", is_flag=True, help="One channel instead of three.")
@skip_bad_option
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help="Settings, as a run's recipe.json.")
@click.option("--test", is_flag=True, help="Report the test photos too: once, when nothing will change any more.")
@_recipe_options
@json_option
@quiet_option
def train(
    network: str,
    data: Path,
    run: Path,
    fit: Any,
    grey: bool,
    skip_bad: bool,
    recipe_file: Path | None,
    test: bool,
    as_json: bool,
    reporter: Reporter,
    **given: Any,
) -> None:
    """Train NETWORK, a name such as mobilenet-v2-0.5@96 or an architecture's .json file, on labelled photos.

    \b
      lykeion train mobilenet-v2-0.5@96 --data photos --run runs/shoes --epochs 30 --flip --shift 8
      lykeion train mobilenet-v2-0.5@96 --data photos --run runs/search --head arcface
      lykeion index add photos --index shop.index --embedder runs/search/model.tflite

    DATA is a folder with one sub-folder per class; a folder of idx files, such as Fashion-MNIST's; an .npz file of
    x_train and y_train; or a manifest, .csv or .jsonl, with path, label and optionally split. The run directory keeps
    everything; the same command resumes an interrupted training.
    """
    from lykeion.nets import find
    from lykeion.nets.training import load_data, train_network

    settings = {
        name: value for name, value in given.items() if value is not None and value is not False and value != ()
    }
    before = _read(recipe_file)
    if "epochs" in settings:
        before.pop("steps")  # it would take precedence over the epochs
    recipe = Recipe.from_json({**before, **settings})
    recipe.check_given(settings)
    architecture = find(network, channels=1 if grey else None)
    photos = load_data(
        data,
        height=architecture.height,
        width=architecture.width,
        channels=architecture.channels,
        fit=fit,
        skip_bad=skip_bad,
        reporter=reporter,
    )
    if reporter is not SILENT:
        _show_classes(photos)
    report = train_network(architecture, photos, recipe, run, test=test, reporter=reporter)
    if as_json:
        print_json({**report.to_json(), "ignored": photos.ignored, "skipped": photos.skipped})
    else:
        _show_report(report)
    if photos.skipped:
        sys.exit(DONE_BUT)


def _show_classes(photos: "Dataset") -> None:
    """Printed before training, and on standard error, since it is not a result."""
    rows = [(name, *counts) for name, counts in photos.counts().items()]
    more = [(f"{len(rows) - _SHOWN_CLASSES:,} more classes", "", "", "")] if rows[_SHOWN_CLASSES:] else []
    total = ("total", len(photos.train), len(photos.validation), len(photos.test))
    columns = ("class", *SPLIT_NAMES)
    print_table(columns, [*rows[:_SHOWN_CLASSES], *more, total], title=photos.name, right=columns[1:], err=True)


def _show_report(report: "TrainingReport") -> None:
    rows: list[tuple[str, object]] = [
        ("validation accuracy", f"{report.validation_accuracy:.4f}"),
        *([("test accuracy", f"{report.test_accuracy:.4f}")] if report.test_accuracy is not None else []),
        ("steps", f"{report.history.steps:,}"),
        ("time", f"{report.history.seconds:.1f} s, {report.history.photos_per_second:,.0f} photos/s in training"),
    ]
    for found in report.retrieval:
        what = f"recall@1 {found.recall_at_1:.4f}, MAP@R {found.map_at_r:.4f}"
        rows.append((f"embedding of {found.dimension}", what))
    rows.append(("model", str(report.model)))
    print_table(("", ""), rows, title=report.name)


def _read(recipe: Path | None) -> dict[str, Any]:
    if recipe is None:
        return Recipe().to_json()
    return Recipe.read(recipe).to_json()
