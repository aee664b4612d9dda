"""``lykeion render``: what a cluster would be given."""

import sys
from pathlib import Path

import click

from lykeion import platform

from .platform_options import files_of, files_option, namespace_option, pair_of


@click.command()
@files_option
@click.option(
    "--profile",
    default="plain",
    show_default=True,
    help="Of the cluster: plain, kind, gke, eks or aks.",
)
@click.option(
    "--as",
    "form",
    default="kubernetes",
    show_default=True,
    type=click.Choice(("kubernetes", "argo")),
    help="What is printed.",
)
@click.option(
    "--with",
    "extensions",
    multiple=True,
    type=click.Choice(("gateway-api", "gke-policies", "jobset", "image-volumes")),
    help="What the cluster has beside Kubernetes; may be repeated.",
)
@click.option("--image", default="", metavar="IMAGE", help="The operator's, which fetches and publishes.")
@click.option("--registry", default="", metavar="PREFIX", help="Of the names of models without a host.")
@click.option("--parameter", "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Of pipelines.")
@namespace_option
def render(
    files: tuple[Path, ...],
    profile: str,
    form: str,
    extensions: tuple[str, ...],
    image: str,
    registry: str,
    parameters: tuple[str, ...],
    namespace: str,
) -> None:
    """Print the Kubernetes objects that would be made for the resources in files, without a server.

    The steps of a pipeline are shown as far as they are known before it runs. With --as argo, a pipeline is printed
    as a Workflow of Argo Workflows; what does not fit is refused.
    """
    given = dict(map(pair_of, parameters))
    resources = platform.read_resources(files_of(files), platform.WRITTEN, namespace)
    facts = platform.facts_of(profile, extensions=extensions, image=image, registry=registry)
    sys.stdout.write(platform.render(resources, facts, parameters=given, argo=form == "argo"))
