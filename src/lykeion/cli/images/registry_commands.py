"""``lykeion images push`` and ``pull``."""

from pathlib import Path

import click

from lykeion import images, registry
from lykeion.cli.options import json_option, quiet_option, registry_option, trust_option
from lykeion.cli.output import print_result
from lykeion.core import Reporter

from .image_options import layout_option, tag_option


@click.command()
@click.argument("image")
@click.argument("target", metavar="REGISTRY/PATH:TAG")
@layout_option
@registry_option
@json_option
@quiet_option
def push(image: str, target: str, layout: Path | None, as_json: bool, reporter: Reporter) -> None:
    """Push an IMAGE (NAME:TAG or a digest) to a registry, with its attached documents."""
    place, there = images.open_image_layout(layout), images.image_reference(target)
    found = images.find_image(place, image)
    images.push_image(place, found, there, reporter=reporter)
    print_result(as_json, {"ref": target, "digest": found.digest}, f"{target}  {found.digest}")


@click.command()
@click.argument("source", metavar="REGISTRY/PATH:TAG")
@tag_option
@trust_option
@layout_option
@registry_option
@json_option
@quiet_option
def pull(
    source: str, tag: str | None, trust: Path | None, layout: Path | None, as_json: bool, reporter: Reporter
) -> None:
    """Pull an image from a registry, for all of its platforms; by tag or as REGISTRY/PATH@sha256:…

    With a trust policy only what it allows by name: a rule without keys.
    """
    reference = images.image_reference(source)
    if trust:
        registry.check_image(registry.read_policy(trust), source)
    ref = tag or f"{reference.name}:{reference.tag or 'latest'}"
    found = images.pull_image(reference, images.open_image_layout(layout, create=True), ref=ref, reporter=reporter)
    print_result(as_json, {"ref": ref, "digest": found.digest}, f"{ref}  {found.digest}")
