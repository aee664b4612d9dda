"""Which layout holds the images, for the commands of ``lykeion images``."""

from pathlib import Path

import click

from lykeion import images, oci
from lykeion.core import kept_directory

layout_option = click.option(
    "--layout",
    type=click.Path(path_type=Path),
    envvar="LYKEION_IMAGES",
    metavar="DIR",
    help="OCI layout that holds the images; default: this user's.  [env: LYKEION_IMAGES]",
)
tag_option = click.option("--tag", "-t", metavar="NAME:TAG", help="Name of the image; default: NAME:latest.")


def layout_at(directory: Path | None, *, create: bool = False) -> "oci.Layout":
    if directory is None:
        return oci.Layout.open(kept_directory("images/store"), create=True)
    return oci.Layout.open(directory, create=create)


def image_in(layout: "oci.Layout", image: str) -> "oci.Descriptor":
    return images.find_image(layout, image)


def short(digest: str) -> str:
    """Enough of a digest to tell two apart; --json has all of it."""
    return digest.removeprefix("sha256:")[:12]
