"""The option for the network of an index."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from lykeion import inputs

from .options import registry_option, store_option, trust_option

named_embedder_option = click.option(
    "--embedder",
    envvar="LYKEION_EMBEDDER",
    metavar="MODEL",
    help="If not the default: a .tflite file with its model card, or a version, as in shoes:champion.  "
    "[env: LYKEION_EMBEDDER]",
)


def embedder_option(command: Callable[..., None]) -> Callable[..., None]:
    """``--embedder``, with the store and trust policy that it needs; the command is passed a file's path, or None."""

    @named_embedder_option
    @trust_option
    @store_option
    @registry_option
    @wraps(command)
    def with_file(embedder: str | None, trust: Path | None, store: Path | None, **others: Any) -> None:
        command(embedder=inputs.find_embedder(embedder, trust, store), **others)

    return with_file
