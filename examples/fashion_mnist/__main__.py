from pathlib import Path

import click

from lykeion.core import LykeionError

from . import write_catalogue


@click.command(help="Write Fashion-MNIST as photos and a manifest to DIRECTORY.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(1, 70_000), default=10_000, show_default=True)
def main(directory: Path, photos: int) -> None:
    try:
        print(write_catalogue(directory, photos))
    except LykeionError as error:
        raise click.ClickException(str(error)) from error


main()
