from pathlib import Path

import click

from lykeion.core import LykeionError

from . import write_catalogue
from .dataset import read_whole_or_sample, say_on_stderr


@click.command(help="Write Fashion-MNIST as photos and a manifest to DIRECTORY.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(1, 70_000), default=10_000, show_default=True)
def main(directory: Path, photos: int) -> None:
    try:
        data = read_whole_or_sample()
        wanted = f", not {photos:,}" if photos > data.size else ""
        say_on_stderr(f"{min(photos, data.size):,} photos{wanted}, from {data.origin}")
        print(write_catalogue(directory, data, photos))
    except LykeionError as error:
        raise click.ClickException(str(error)) from error


main()
