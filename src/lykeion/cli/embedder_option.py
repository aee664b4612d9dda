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

embed_precision_option = click.option(
    "--embed-precision",
    "precision",
    type=click.Choice(["exact", "fast"]),
    default="exact",
    show_default=True,
    help="fast: embed photos that are searched by in bfloat16 or float16 too, where that is faster.",
)


def engine_option(default: str, explained: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What runs the network of an index."""
    return click.option(
        "--engine",
        envvar="LYKEION_EMBEDDER_ENGINE",
        default=default,
        metavar="NAME",
        help="What runs the network: litert, onnxruntime, openvino, or auto.  "
        f"[env: LYKEION_EMBEDDER_ENGINE; {explained}]",
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
