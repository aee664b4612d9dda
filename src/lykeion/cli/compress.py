"""``lykeion compress``: turns a trained network into the file that is delivered to devices."""

import sys
from pathlib import Path
from typing import Any, Literal

import click

from lykeion import compress, engines, inputs
from lykeion.core import DONE_BUT, LykeionError, Reporter, print_line, write_atomically, writing
from lykeion.litert import packed
from lykeion.nets import training

from .options import (
    FIT,
    PICTURE,
    json_option,
    quiet_option,
    registry_option,
    skip_bad_option,
    store_option,
    trust_option,
)
from .output import print_json, print_table

_model = click.option(
    "--model", required=True, metavar="MODEL", help="A run directory, a version (shoes:v3), or a .keras file."
)
_data = click.option("--data", required=True, type=click.Path(path_type=Path), help="As `lykeion train` takes it.")
_fit = click.option("--fit", type=FIT, help="How photos are fitted to the network's size.")


@click.group("compress")
def commands() -> None:
    """Make a trained network smaller, step by step, and see what each step costs.

    \b
      lykeion compress run recipe.yaml --model runs/shoes --data photos --run runs/shoes-small
      lykeion compress report runs/shoes-small --html shoes.html
      lykeion compress pack runs/shoes-small/3-qat --output shoes.lyk
      lykeion compress unpack shoes.lyk --output shoes.tflite
    """


@commands.command("run")
@click.argument("recipe", type=click.Path(path_type=Path))
@_model
@_data
@click.option("--run", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The run directory.")
@_fit
@skip_bad_option
@click.option("--test", is_flag=True, help="Report the test photos too: once, when nothing will change any more.")
@click.option("--no-latency", is_flag=True, help="Do not time the networks.")
@trust_option
@store_option
@registry_option
@json_option
@quiet_option
def run_(
    recipe: Path,
    model: str,
    data: Path,
    run: Path,
    fit: "training.Fit | None",
    skip_bad: bool,
    test: bool,
    no_latency: bool,
    trust: Path | None,
    store: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Carry out the steps of RECIPE, a YAML file; docs/compress.md lists methods and settings.

    Each step keeps its network, its training and its row of the report in its own directory. The same command resumes
    an interrupted run, and carries out steps that were added to the end of the recipe.
    """
    steps = compress.read_recipe(recipe)
    network, photos = inputs.open_with_photos(
        inputs.find_model(model, trust, store), data, fit, skip_bad=skip_bad, reporter=reporter
    )
    compress.compress(network, photos, steps, run, test=test, latency=not no_latency, reporter=reporter)
    compress.write_page(run, run / "report.html")
    _show(run, as_json)
    if photos.skipped:
        sys.exit(DONE_BUT)


@commands.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the page there too.")
@json_option
def report(run: Path, html: Path | None, as_json: bool) -> None:
    """Show the table of a compression RUN; its page is RUN/report.html."""
    if html:
        compress.write_page(run, html)
    _show(run, as_json)


@commands.command()
@_model
@_data
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The scan, as JSON.")
@click.option("--png", type=PICTURE, metavar="FILE", help="Draw it.")
@click.option("--layers", multiple=True, default=("*",), show_default=True, help="By name or kind; repeatable.")
@click.option(
    "--photos", type=click.IntRange(1), default=2000, show_default=True, help="Validation photos per network."
)
@_fit
@skip_bad_option
@trust_option
@store_option
@registry_option
@json_option
@quiet_option
def sensitivity(
    model: str,
    data: Path,
    output: Path,
    png: Path | None,
    layers: tuple[str, ...],
    photos: int,
    fit: "training.Fit | None",
    skip_bad: bool,
    trust: Path | None,
    store: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Prune and quantize each layer alone and measure the loss in accuracy, for the setting `sensitivity`.

    The same command resumes an interrupted scan. A FILE that holds the scan of another model is left as it is.
    """
    network, loaded = inputs.open_with_photos(
        inputs.find_model(model, trust, store), data, fit, skip_bad=skip_bad, reporter=reporter
    )
    scan = compress.scan_sensitivity(network, loaded, layers=layers, photos=photos, output=output, reporter=reporter)
    if as_json:
        print_json(scan.to_json())
    else:
        _show_scan(scan)
    if png:
        compress.draw_sensitivity(scan, png)
    if loaded.skipped:
        sys.exit(DONE_BUT)


def _show_scan(found: "compress.Sensitivity") -> None:
    levels: list[tuple[Any, float]] = [(harm, level) for harm, values in found.levels.items() for level in values]
    columns = [f"{level:.0%}" if harm == "sparsity" else f"{level:g} bit" for harm, level in levels]
    print_table(
        ("layer", *columns),
        [
            (name, *(f"{100 * found.loss(harm, name, level):.1f}" for harm, level in levels))
            for name in found.accuracy["sparsity"]
        ],
        title=f"{found.network}: points lost of {found.baseline:.2%} on {found.photos:,} photos",
        right=columns,
    )


@commands.command()
@click.argument("model")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The package.")
@click.option(
    "--gives",
    type=click.Choice(("logits", "embedding")),
    default="logits",
    show_default=True,
    help="The network's output.",
)
@trust_option
@store_option
@registry_option
@json_option
def pack(
    model: str,
    output: Path,
    gives: Literal["logits", "embedding"],
    trust: Path | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Pack MODEL, a run, a step of a compression, a version, or any .tflite file, for transport.

    The package unpacks to the same bytes; docs/package-format.md describes it.
    """
    package, file = compress.pack_path(inputs.find_model(model, trust, store), gives)
    _write(output, package)
    _sizes(package, file, output, as_json)


@commands.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The .tflite file.")
@json_option
def unpack(package: Path, output: Path, as_json: bool) -> None:
    """Unpack PACKAGE to the LiteRT file; a damaged one is refused."""
    content = engines.read_model(package)
    file = packed.unpack(content, name=str(package))
    _write(output, file)
    _sizes(content, file, output, as_json)


def _show(run: Path, as_json: bool) -> None:
    rows = compress.read_rows(run)
    if as_json:
        print_json({"rows": [row.to_json() for row in rows]})
        return
    places = [compress.REPORT_COLUMNS.index(column) for column in compress.SHOWN_COLUMNS]
    shown = [[cells[place] for place in places] for cells in compress.report_table(rows)]
    title = f"{run}, sizes in kB, top-1 on {compress.accuracies(rows)[1]} photos"
    print_table(compress.SHOWN_COLUMNS, shown, title=title, right=compress.SHOWN_COLUMNS[1:])
    print_line(f"{run / 'report.html'} has the rest: zstd, Huffman, multiply-adds, distinct values, and all layers")


def _sizes(package: bytes, file: bytes, output: Path, as_json: bool) -> None:
    found = {"file": len(file), "package": len(package), "ratio": len(file) / len(package)}
    if as_json:
        print_json({"output": str(output), **found})
        return
    print_table(("", ""), [*found.items(), ("written", output)])


def _write(path: Path, content: bytes) -> None:
    with writing(path, LykeionError):
        write_atomically(path, content)
