"""``lykeion serve``: the service on a port."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from lykeion import search, web_kit
from lykeion.core import core_count, print_line
from lykeion.search import service

from .embedder_option import embedder_option
from .options import FiniteRange, index_option, thumbnails_option


@click.command()
@index_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; any but loopback needs a token.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@embedder_option
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with the API token that requests must bear; or set LYKEION_TOKEN.",
)
@click.option(
    "--threads",
    default=core_count,
    show_default="cores",
    type=click.IntRange(1, 256),
    help="Requests processed at the same time.",
)
@click.option(
    "--waiting", default=128, show_default=True, type=click.IntRange(0), help="Requests that may wait for a thread."
)
@click.option(
    "--per-client",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Requests in progress from one address.",
)
@click.option(
    "--max-body-mib", default=32, show_default=True, type=click.IntRange(1, 1024), help="Maximum size of a request."
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=FiniteRange(0.1, 3600),
    help="Seconds until a request must be answered.",
)
@thumbnails_option
@click.option("--no-thumbnails", is_flag=True, help="Show and keep no thumbnails.")
def serve(
    uri: str,
    host: str,
    port: int,
    embedder: str | None,
    token_file: Path | None,
    threads: int,
    waiting: int,
    per_client: int,
    max_body_mib: int,
    timeout: float,
    thumbnails: "search.ThumbnailPlace",
    no_thumbnails: bool,
) -> None:
    """Serve an index over HTTP, with a search page at /.

    For this machine alone unless an API token is given; then open the page as http://HOST:PORT/#token=TOKEN.
    The index may be added to while it is served.
    """
    settings = web_kit.ServerSettings(
        token=web_kit.read_token(token_file) if token_file else os.environ.get("LYKEION_TOKEN", "").strip(),
        max_body_bytes=max_body_mib << 20,
        threads=threads,
        waiting=waiting,
        per_client=per_client,
        timeout_s=timeout,
    )
    with closing(
        service.open_catalogue(uri, embedder=embedder, thumbnails=replace(thumbnails, kept=not no_thumbnails))
    ) as catalogue:
        service.serve(
            catalogue,
            settings,
            host=host,
            port=port,
            ready=lambda url: print_line(f"Serving {uri} on {url}", err=True),
        )
