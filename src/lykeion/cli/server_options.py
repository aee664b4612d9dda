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
        "--port",
        envvar="PORT",
        default=8080,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="0 takes a free one.  [env: PORT]",
    )
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="File with the API token that requests must bear; or set LYKEION_TOKEN.",
    )
    @click.option(
        "--metrics-token-file",
        type=click.Path(path_type=Path),
        help="File with a token that /metrics is answered to as well; or set LYKEION_METRICS_TOKEN.",
    )
    @click.option("--open-metrics", is_flag=True, help="Answer /metrics without a token.")
    @click.option(
        "--open-address",
        is_flag=True,
        help="Listen on any address without a token, for allowed hosts: who may connect is decided elsewhere, such "
        "as by a network policy.",
    )
    @click.option(
        "--allowed-host",
        "allowed_hosts",
        multiple=True,
        envvar="LYKEION_ALLOWED_HOSTS",
        metavar="NAME",
        help="A name by which a proxy is asked, to be answered without a token; repeatable.  "
        "[env: LYKEION_ALLOWED_HOSTS]",
    )
    @click.option(
        "--proxy",
        "proxies",
        multiple=True,
        envvar="LYKEION_PROXIES",
        metavar="ADDRESS",
        help="Address or network of a proxy, whose X-Forwarded headers are believed; repeatable.  "
        "[env: LYKEION_PROXIES]",
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
        metrics_token_file: Path | None,
        open_metrics: bool,
        open_address: bool,
        allowed_hosts: tuple[str, ...],
        proxies: tuple[str, ...],
        threads: int,
        waiting: int,
        per_client: int,
        max_body_mib: int,
        timeout: float,
        **others: Any,
    ) -> None:
        settings = web_kit.ServerSettings(
            token=_token(token_file, "LYKEION_TOKEN"),
            metrics_token=_token(metrics_token_file, "LYKEION_METRICS_TOKEN"),
            open_metrics=open_metrics,
            open_address=open_address,
            allowed_hosts=frozenset(host.lower() for host in allowed_hosts),
            proxies=web_kit.read_proxies(proxies),
            max_body_bytes=max_body_mib << 20,
            threads=threads,
            waiting=waiting,
            per_client=per_client,
            timeout_s=timeout,
        )
        command(settings=settings, **others)

    return with_settings


def _token(file: Path | None, variable: str) -> str:
    return web_kit.read_token(file) if file else os.environ.get(variable, "").strip()
