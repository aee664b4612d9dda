"""``lykeion serve``: an index or a model on a port."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from lykeion import inputs, model_server, search, web_kit
from lykeion.core import print_line
from lykeion.search import service

from .embedder_option import embed_precision_option, named_embedder_option
from .options import (
    FiniteRange,
    refuse_options,
    registry_option,
    store_option,
    thumbnails_option,
    trust_option,
)
from .server_options import server_options

_OF_INDEX = ("uri", "embedder", "precision", "thumbnails", "no_thumbnails", "follow")
_OF_MODEL = ("model", "name", "card", "labels", "pulled", "max_batch")


@click.command()
@click.option(
    "--index",
    "uri",
    envvar="LYKEION_INDEX",
    metavar="INDEX",
    help="A directory or a link to one, a version such as shop-index:current, or milvus://host:port/collection.  "
    "[env: LYKEION_INDEX]",
)
@click.option(
    "--model",
    metavar="MODEL",
    help="Instead of an index: a .tflite file, a run's directory, or a version, as in shoes:champion.",
)
@server_options
@named_embedder_option
@trust_option
@store_option
@registry_option
@thumbnails_option
@click.option("--no-thumbnails", is_flag=True, help="Show and keep no thumbnails.")
@click.option(
    "--follow",
    type=FiniteRange(0.1, 86_400),
    metavar="SECONDS",
    help="How often to look whether --index names another index, which is then served; default: each second for a "
    "path, else never.",
)
@click.option("--name", metavar="NAME", help="The model's name in URLs, if not its own.")
@click.option(
    "--card",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The model card, if it is not beside the model: how photos are prepared.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The model's classes, if its directory does not name them: one a line, or a JSON list.",
)
@click.option(
    "--pulled", default="", metavar="DIGEST", help="The version that the model's directory was pulled from, if any."
)
@click.option(
    "--engine",
    metavar="NAME",
    help="What runs the network; default: auto, the fastest, measured once.  [env, for an index: "
    "LYKEION_EMBEDDER_ENGINE]",
)
@embed_precision_option
@click.option(
    "--max-batch",
    default=8,
    show_default=True,
    type=click.IntRange(1, 32),
    help="Rows that the model runs at once, if that is faster.",
)
def serve(
    uri: str | None,
    model: str | None,
    host: str,
    port: int,
    settings: "web_kit.ServerSettings",
    embedder: str | None,
    trust: Path | None,
    store: Path | None,
    thumbnails: "search.ThumbnailPlace",
    no_thumbnails: bool,
    follow: float | None,
    name: str | None,
    card: Path | None,
    labels: Path | None,
    pulled: str,
    engine: str | None,
    precision: "search.EmbedPrecision",
    max_batch: int,
) -> None:
    """Serve an index over HTTP, with a search page at /; or a model, by the Open Inference Protocol v2.

    For this machine alone unless an API token is given; then open the page as http://HOST:PORT/#token=TOKEN.
    The index may be added to while it is served.
    """
    if model is not None:
        refuse_options("--model serves a model", *_OF_INDEX)
        source = inputs.open_servable(model, trust, store, served_as=name, card=card, labels=labels, pulled=pulled)
        named = None if engine == "auto" else engine
        with closing(model_server.open_served(source, settings, engine=named, max_batch=max_batch)) as served:
            model_server.serve_model(served, settings, host=host, port=port, ready=_told(served.name))
        return
    if uri is None:
        raise click.UsageError("give --index INDEX, or --model MODEL")
    refuse_options("--index serves an index", *_OF_MODEL)
    place = replace(thumbnails, kept=not no_thumbnails)
    followed = service.followed_catalogue(
        service.find_source(uri, trust=trust, store=store),
        embedder=inputs.find_embedder(embedder, trust, store),
        engine=_wish(engine, precision),
        thumbnails=place,
        follow_s=follow,
        swapped=lambda index: print_line(f"{uri} is {index} now, which is served", err=True),
    )
    with followed as served:
        service.serve(served, settings, host=host, port=port, ready=_told(uri))


def _wish(engine: str | None, precision: "search.EmbedPrecision") -> "search.EngineWish":
    """A service starts at once, and finds the fastest engine when it has work for it."""
    named = engine or os.environ.get("LYKEION_EMBEDDER_ENGINE") or "auto"
    return search.EngineWish(named, precision, measure=False, later=True)


def _told(what: str) -> Callable[[str], None]:
    return lambda url: print_line(f"Serving {what} on {url}", err=True)
