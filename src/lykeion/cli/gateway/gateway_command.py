"""``lykeion gateway``: the device server, and a connection of each device."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

import click

from lykeion import inputs, web_kit
from lykeion.cli.delivery.delivery_options import repository_option, searched_option
from lykeion.cli.delivery.fleet_commands import fleet_option
from lykeion.cli.delivery.rollout_stores import rollouts_option, shared_rollouts
from lykeion.cli.options import FiniteRange, registry_option, store_option, trust_option
from lykeion.cli.server_options import server_options
from lykeion.core import print_line
from lykeion.delivery import device_service
from lykeion.delivery import gateway as gateways
from lykeion.search import service


@click.command()
@repository_option
@fleet_option
@click.option("--downloads", type=click.IntRange(1), default=64, show_default=True, help="Under way at a time.")
@click.option(
    "--state",
    envvar="LYKEION_STATE",
    default="",
    metavar="URL",
    help="postgresql://… for several gateways; by default a file of --fleet.  [env: LYKEION_STATE]",
)
@click.option("--index", "uri", metavar="INDEX", help="An index that devices may search, as lykeion serve takes it.")
@click.option("--embedder", metavar="NAME", help="Of the index's photos, if it is not the default.")
@click.option(
    "--connects",
    type=FiniteRange(0.1, 100_000),
    default=gateways.CONNECTS_A_SECOND,
    show_default=True,
    help="Devices that may connect in a second; the others are told when to return.",
)
@searched_option
@rollouts_option
@trust_option
@store_option
@registry_option
@server_options
def gateway(
    home: Path,
    fleet: Path,
    downloads: int,
    state: str,
    uri: str | None,
    embedder: str | None,
    connects: float,
    searched: tuple[str, ...],
    kept_in: str,
    namespace: str | None,
    trust: Path | None,
    store: Path | None,
    host: str,
    port: int,
    settings: "web_kit.ServerSettings",
) -> None:
    """Serve a fleet as lykeion delivery serve does, and hold a connection of each device: lykeion.v1.

    On another address than loopback put TLS before it, and name the hosts by which it is asked with --allowed-host.
    """
    followed = (
        service.followed_catalogue(
            service.find_source(uri, trust=trust, store=store),
            embedder=inputs.find_embedder(embedder, trust, store),
            swapped=lambda index: print_line(f"{uri} is {index} now, which is searched", err=True),
        )
        if uri
        else nullcontext()
    )
    with followed as served:
        server = device_service.FleetServer(
            fleet,
            home,
            settings,
            downloads,
            rollouts=shared_rollouts(kept_in, namespace),
            beside=lambda parts: gateways.DeviceGateway(parts, served, connects),
            state=state,
            indexes=searched,
        )
        asyncio.run(server.run(host, port, lambda url: print_line(f"devices are served at {url}")))
