"""Where the rollouts and experiments are that a device server moves along."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import click

from lykeion import platform
from lykeion.cli.platform.platform_options import chosen_context
from lykeion.control import ResourceStore
from lykeion.delivery import device_service


def rollouts_option(command: Any) -> Any:
    namespace = click.option("--rollouts-namespace", "namespace", help="Of a cluster.  [default: all]")
    return click.option(
        "--rollouts",
        "kept_in",
        type=click.Choice(("fleet", "platform", "cluster")),
        default="fleet",
        show_default=True,
        help="Where rollouts are kept: with the devices, by lykeion up on this machine, or in a Kubernetes cluster.",
    )(namespace(command))


def rollout_store(
    kept_in: str, namespace: str | None
) -> Callable[[], AbstractAsyncContextManager[ResourceStore]] | None:
    """None for the server's own; else of the platform on this machine, or of the cluster of the context."""
    kinds = device_service.FLEET_KINDS
    if kept_in == "fleet":
        return None
    if kept_in == "platform":
        return lambda: platform.connect_to("", None, kinds)
    context = chosen_context()
    return lambda: platform.ContextPlatform(context, namespace, kinds)
