"""``lykeion images``: container images for training and serving."""

import click

from .image_commands import build, checkout, list_, lock, prune, run, show, volume
from .registry_commands import pull, push


@click.group()
def images() -> None:
    """Build container images, reproducibly, without a daemon or root; and start them.

    \b
    lykeion images build image.yaml              from base, locked wheels and source
    lykeion images build image.yaml --model DIR  the same, with a model in it
    lykeion images volume DIR -t shoes:v1        a model as an image that clusters mount
    lykeion images run shop:latest               start it here
    """


for _command in (build, checkout, volume, lock, list_, show, run, prune, pull, push):
    images.add_command(_command)
