"""Which layout holds the images, for the commands of ``lykeion images``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lykeion.oci import Descriptor, Layout

layout_option = click.option(
    "--layout",
    type=click.Path(path_type=Path),
    envvar="LYKEION_IMAGES",
    metavar="DIR",
    help="OCI layout that holds the images; default: this user's.  [env: LYKEION_IMAGES]",
)
tag_option = click.option("--tag", "-t", metavar="NAME:TAG", help="Name of the image; default: NAME:latest.")


def layout_at(directory: Path | None, *, create: bool = False) -> "Layout":
    from lykeion.core import kept_directory
    from lykeion.oci import Layout

    if directory is None:
        return Layout.open(kept_directory("images/store"), create=True)
    return Layout.open(directory, create=create)


def image_in(layout: "Layout", image: str) -> "Descriptor":
    from lykeion.images import find_image

    return find_image(layout, image)


def short(digest: str) -> str:
    """Enough of a digest to tell two apart; --json has all of it."""
    return digest.removeprefix("sha256:")[:12]
