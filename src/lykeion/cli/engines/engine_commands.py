"""``lykeion engines``: lists engines, compares their outputs, and exports models."""

from dataclasses import asdict
from pathlib import Path

import click

from lykeion import inputs
from lykeion.cli.options import json_option, registry_option, store_option, trust_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import LykeionError, print_line, write_atomically, writing
from lykeion.engines import choosing, running

from .engine_options import engine_option


@click.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the engines and whether they are installed."""
    found = [
        {
            "name": kind.name,
            "version": kind.version or None,
            "usual": kind.usual,
            "install": None if kind.installed else f"pip install 'lykeion[{kind.extra}]'",
            "about": kind.about,
        }
        for kind in running.KINDS.values()
    ]
    if as_json:
        print_json({"engines": found})
        return
    print_table(
        ("engine", "version", "usual", "what it is"),
        [
            (each["name"], each["version"] or each["install"], "yes" if each["usual"] else "if named", each["about"])
            for each in found
        ],
    )


@click.command()
@click.argument("model")
@engine_option
@click.option(
    "--reference", default="litert-builtin", show_default=True, metavar="NAME", help="The engine to compare with."
)
@trust_option
@store_option
@registry_option
@json_option
def compare(
    model: str, engines: tuple[str, ...], reference: str, trust: Path | None, store: Path | None, as_json: bool
) -> None:
    """Compare the outputs of engines for MODEL, on 32 photos of noise."""
    opened = inputs.open_models((model,), trust, store)[0]
    kinds, compared_with = running.find_kinds(engines), running.find_kind(reference)
    found = choosing.compare_engines(opened.content, kinds, compared_with, name=opened.name)
    photos = choosing.COMPARED_PHOTOS
    if as_json:
        entries = [
            {"engine": name, **({"unsupported": each} if isinstance(each, str) else asdict(each))}
            for name, each in found.items()
        ]
        print_json({"model": opened.name, "reference": reference, "photos": photos, "engines": entries})
        return
    print_table(
        ("engine", "max error", "cosine", "same top-1", ""),
        [
            (name, "", "", "", each)
            if isinstance(each, str)
            else (name, f"{each.max_error:.2g}", f"{each.cosine:.7f}", f"{each.top1:.0%}", "")
            for name, each in found.items()
        ],
        title=f"{opened.name} against {reference}, {photos} photos",
        right=("max error", "cosine", "same top-1"),
    )


@click.command()
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path))
@trust_option
@store_option
@registry_option
def convert(model: str, file: Path, trust: Path | None, store: Path | None) -> None:
    """Write MODEL as the ONNX FILE that the engine onnxruntime runs, which is run first."""
    opened = inputs.open_models((model,), trust, store)[0]
    converted, agreement = choosing.checked_onnx(opened.content, opened.name)
    with writing(file, LykeionError):
        write_atomically(file, converted)
    close = f"max error {agreement.max_error:.2g}, cosine {agreement.cosine:.7f} on {choosing.COMPARED_PHOTOS} photos"
    print_line(f"{file}: {len(converted):,} bytes; {close}")
