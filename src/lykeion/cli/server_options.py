"""The options of every server: where it listens, who may ask, and how much."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from lykeion import web_kit
from lykeion.core import core_count

from .options import FiniteRange


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command is passed ``host``, ``port`` and ``settings``."""

    @click.option("--host", default="127.0.0.1", show_default=True, help="Address; any but loopback needs a token.")
    @click.option(
        "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
    )
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
        "--waiting",
        default=128,
        show_default=True,
        type=click.IntRange(0),
        help="Requests that may wait for a thread.",
    )
    @click.option(
        "--per-client",
        default=64,
        show_default=True,
        type=click.IntRange(1),
        help="Requests in progress from one address.",
    )
    @click.option(
        "--max-body-mib",
        default=32,
        show_default=True,
        type=click.IntRange(1, 1024),
        help="Maximum size of a request.",
    )
    @click.option(
        "--timeout",
        default=30.0,
        show_default=True,
        type=FiniteRange(0.1, 3600),
        help="Seconds until a request must be answered.",
    )
    @wraps(command)
    def with_settings(
        token_file: Path | None,
        threads: int,
        waiting: int,
        per_client: int,
        max_body_mib: int,
        timeout: float,
        **others: Any,
    ) -> None:
        settings = web_kit.ServerSettings(
            token=web_kit.read_token(token_file) if token_file else os.environ.get("LYKEION_TOKEN", "").strip(),
            max_body_bytes=max_body_mib << 20,
            threads=threads,
            waiting=waiting,
            per_client=per_client,
            timeout_s=timeout,
        )
        command(settings=settings, **others)

    return with_settings
