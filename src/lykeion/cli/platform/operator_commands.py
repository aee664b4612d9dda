"""``lykeion operator``: the program that carries resources in a cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from lykeion import images, platform
from lykeion.cli.options import FiniteRange, json_option, quiet_option, registry_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import Reporter, print_line
from lykeion.delivery.device_service import FLEET_KINDS

from .operator_run_command import run_operator
from .platform_options import context_option

PREFIX = click.option("--registry", default="", metavar="PREFIX", help="Where the image is pushed, and models are.")
IMAGE = click.option("--image", default="", metavar="IMAGE", help="The operator's image, if it is in a registry.")
BASE = click.option(
    "--base", metavar="BASE", help="What the image is built on: a directory, NAME:TAG, or REGISTRY/PATH@sha256:…"
)
WHEEL = click.option(
    "--wheel", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Of this package, for the image."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
TIMEOUT = click.option(
    "--timeout", default=300.0, show_default=True, type=FiniteRange(0, min_open=True), help="Seconds to wait."
)

FLEET = tuple(FLEET_KINDS.values())
T = TypeVar("T")


@click.group()
def operator() -> None:
    """Install, upgrade and remove what carries resources in a Kubernetes cluster.

    \b
      lykeion operator install --context gke-prod --profile gke --registry registry.example.com/shop --base python
      lykeion operator status
      lykeion operator uninstall
    """


operator.add_command(run_operator)


@operator.command()
@context_option
@click.option("--profile", default="plain", show_default=True, help="Of the cloud: plain, kind, gke, eks or aks.")
@click.option(
    "--namespace", "-n", default="lykeion-system", show_default=True, help="Where the operator itself runs."
)
@click.option("--only", default="", metavar="NAMESPACE", help="Let it work in one namespace.  [default: in all]")
@click.option("--identity", default="", metavar="ACCOUNT", help="The cloud's account that pulls and pushes.")
@click.option(
    "--registries",
    default="",
    metavar="ADDRESSES",
    help="Registries that speak otherwise, as in $LYKEION_REGISTRIES, for the operator and its programs.",
)
@click.option("--fleet", is_flag=True, help="Define rollouts and experiments of a fleet of devices, too.")
@PREFIX
@IMAGE
@BASE
@WHEEL
@TIMEOUT
@DRY_RUN
@registry_option
@quiet_option
def install(
    context: str,
    profile: str,
    namespace: str,
    only: str,
    identity: str,
    registries: str,
    fleet: bool,
    registry: str,
    image: str,
    base: str | None,
    wheel: Path | None,
    timeout: float,
    dry_run: bool,
    reporter: Reporter,
) -> None:
    """Install the operator, or bring what is installed up to date; return when it is ready.

    Its image is built and pushed to --registry, unless --image names one. It is installed by digest.
    """
    to = platform.Installation(profile, namespace, "", identity, registry, only, registries, FLEET if fleet else ())
    _with_cluster(
        context,
        lambda client: platform.install(
            client,
            to,
            lambda: _image(image, registry, base, wheel, reporter, dry_run=dry_run),
            print_line,
            fleet=FLEET,
            timeout_s=timeout,
            dry_run=dry_run,
        ),
    )


@operator.command()
@context_option
@PREFIX
@IMAGE
@BASE
@WHEEL
@TIMEOUT
@DRY_RUN
@registry_option
@quiet_option
def upgrade(
    context: str,
    registry: str,
    image: str,
    base: str | None,
    wheel: Path | None,
    timeout: float,
    dry_run: bool,
    reporter: Reporter,
) -> None:
    """Bring the operator and the definitions to this version; resources and what runs for them go on.

    Refused if stored resources do not fit this version's definitions.
    """
    _with_cluster(
        context,
        lambda client: platform.upgrade(
            client,
            lambda: _image(image, registry, base, wheel, reporter, dry_run=dry_run),
            print_line,
            fleet=FLEET,
            timeout_s=timeout,
            dry_run=dry_run,
        ),
    )


@operator.command()
@context_option
@click.option("--delete-resources", is_flag=True, help="Delete all resources of Lykeion, with what runs for them.")
@TIMEOUT
@DRY_RUN
def uninstall(context: str, delete_resources: bool, timeout: float, dry_run: bool) -> None:
    """Remove the operator and the definitions; refused while there are resources.

    With --delete-resources these go first, while the operator can still end what runs for them.
    """
    _with_cluster(
        context,
        lambda client: platform.uninstall(
            client, print_line, fleet=FLEET, delete_resources=delete_resources, timeout_s=timeout, dry_run=dry_run
        ),
    )


@operator.command()
@context_option
@json_option
def status(context: str, as_json: bool) -> None:
    """Show what is installed, whether it is ready, and how many resources there are."""
    found = _with_cluster(context, lambda client: platform.status_of_installation(client, FLEET))
    if as_json:
        print_json(found)
    else:
        print_table(("", ""), [(name, value) for name, value in found.items() if value != ""])


@operator.command()
@click.argument("name")
@context_option
@click.option(
    "--to", required=True, metavar="CONTEXT", help="Of the kubeconfig: the other cluster, with an operator."
)
@click.option(
    "--namespace",
    "-n",
    required=True,
    metavar="NAMESPACE",
    help="Whose pipelines may run steps in the other cluster.",
)
@click.option("--there", default="", metavar="NAMESPACE", help="In the other cluster.  [default: the same name]")
def connect(name: str, context: str, to: str, namespace: str, there: str) -> None:
    """Let steps of pipelines name another cluster as NAME, and run there.

    An account is made in the other cluster, which may only make and remove runs in one namespace; its token is put
    into a Secret of the namespace here, which the operator is let read.
    """
    link = platform.ClusterLink(name, namespace, there or namespace)

    async def both(here: "platform.ClusterClient") -> None:
        other = platform.cluster_client_of(to)
        try:
            await platform.connect_cluster(here, other, link, print_line)
        finally:
            await other.close()

    _with_cluster(context, both)


@operator.command("image")
@PREFIX
@BASE
@WHEEL
@registry_option
@quiet_option
def build_image(registry: str, base: str | None, wheel: Path | None, reporter: Reporter) -> None:
    """Build the operator's image; with --registry, push it. Print its name by digest."""
    print_line(_image("", registry, base, wheel, reporter, push=bool(registry)))


def _image(
    image: str,
    registry: str,
    base: str | None,
    wheel: Path | None,
    reporter: Reporter,
    *,
    push: bool = True,
    dry_run: bool = False,
) -> str:
    """The operator's image by digest, built if it has to be."""
    layout = images.open_image_layout(create=True)
    if image:
        return platform.pinned(image, layout)
    if base is None or (push and not registry):
        raise click.UsageError("give --image; or --registry and --base, on which the image is built")
    if dry_run:
        return f"{registry}/lykeion-operator"
    built = platform.build_operator_image(base, layout, wheel=wheel, reporter=reporter)
    return platform.push_operator_image(built, layout, registry, reporter=reporter) if push else built.digest


def _with_cluster(context: str, work: Callable[["platform.ClusterClient"], Awaitable[T]]) -> T:
    async def connected() -> T:
        client = platform.cluster_client_of(context)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(connected())
