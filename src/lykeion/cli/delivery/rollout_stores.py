"""Where the rollouts and experiments are that a device server moves along."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import click

from lykeion import platform
from lykeion.cli.platform.platform_options import chosen_context
from lykeion.delivery import device_service

LEASE = "lykeion-fleet"
"""In the namespace of the rollouts."""


def _namespace(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        platform.check_names(namespace=value)
    return value


def rollouts_option(command: Any) -> Any:
    namespace = click.option(
        "--rollouts-namespace",
        "namespace",
        envvar="LYKEION_NAMESPACE",
        callback=_namespace,
        help="Which has this fleet's rollouts and no other's.  [env: LYKEION_NAMESPACE; default: default, or that of "
        "the context]",
    )
    return click.option(
        "--rollouts",
        "kept_in",
        type=click.Choice(("fleet", "platform", "cluster")),
        default="fleet",
        show_default=True,
        help="Where rollouts are kept: with the devices, by lykeion up on this machine, or in a Kubernetes cluster.",
    )(namespace(command))


def shared_rollouts(kept_in: str, namespace: str | None) -> "device_service.SharedRollouts | None":
    """None for the server's own; else of the platform on this machine, or of the cluster of the context.

    Raises KubeconfigError.
    """
    kinds = device_service.FLEET_KINDS
    if kept_in == "fleet":
        return None
    if kept_in == "platform":
        inside = namespace or platform.default_namespace("")
        lock = platform.platform_directory() / "fleets" / f"{inside}.lock"
        return device_service.SharedRollouts(
            inside, lambda: platform.connect_to("", None, kinds), lambda name: device_service.FileTurn(lock, name)
        )
    context = chosen_context()
    inside = namespace or platform.namespace_of(context)
    return device_service.SharedRollouts(
        inside,
        lambda: platform.ContextPlatform(context, inside, kinds),
        lambda name: _lease(context, inside, name),
    )


@asynccontextmanager
async def _lease(context: str, namespace: str, name: str) -> AsyncGenerator["platform.LeaseElection"]:
    client = platform.cluster_client_of(context)
    try:
        yield platform.LeaseElection(client, namespace, LEASE, name)
    finally:
        await client.close()
