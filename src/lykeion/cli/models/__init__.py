"""``lykeion models``: the repository of models."""

import click

from .inspection_commands import diff, import_, lineage, list_, show, verify
from .version_commands import copy, delete, follow, gc, pull, push, sign, tag, untag


@click.group()
def models() -> None:
    """Store, copy and compare versions of models; import networks.

    \b
    lykeion models push RUN shoes:canary         a training run becomes the next version
    lykeion models pull shoes:canary ./shoes     a directory with the model and its card
    lykeion models tag shoes:v3 champion         an alias moves
    lykeion models copy shoes:champion registry.example.com/shop/shoes:champion

    \b
    lykeion models import efficientnet-lite0     the default network; needs no TensorFlow
    lykeion models import MobileNetV3Large       from keras.applications; needs lykeion[train]
    lykeion index add ./photos --index shop.index --embedder shoes/model.tflite

    A model is NAME:ALIAS, NAME@sha256:..., NAME (its newest version), each perhaps after a registry's HOST/PATH/.
    """


for _command in (import_, list_, show, diff, lineage, verify, push, pull, follow, copy, tag, untag, delete, gc, sign):
    models.add_command(_command)
