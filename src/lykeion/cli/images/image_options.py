"""Options of the commands of ``lykeion images``, and how they print a digest."""

from pathlib import Path

import click

layout_option = click.option(
    "--layout",
    type=click.Path(path_type=Path),
    envvar="LYKEION_IMAGES",
    metavar="DIR",
    help="OCI layout that holds the images; default: this user's.  [env: LYKEION_IMAGES]",
)
tag_option = click.option("--tag", "-t", metavar="NAME:TAG", help="Name of the image; default: NAME:latest.")


def short(digest: str) -> str:
    """The first part of a digest, enough to tell two apart; --json prints it completely."""
    return digest.removeprefix("sha256:")[:12]
