"""``lykeion images push`` and ``pull``, and how a base comes from a registry: images by the registry's client."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .images_layout import image_in, layout_at, layout_option, tag_option
from .options import json_option, quiet_option
from .output import print_json

if TYPE_CHECKING:
    from lykeion.oci import Descriptor, Layout, Platform


@click.command()
@click.argument("image")
@click.argument("target", metavar="REGISTRY/PATH:TAG")
@layout_option
@json_option
@quiet_option
def push(image: str, target: str, layout: Path | None, as_json: bool, quiet: bool) -> None:
    """Push an IMAGE (NAME:TAG or a digest) to a registry, with what is attached to it."""
    from lykeion import registry
    from lykeion.images import ImageError, push_image
    from lykeion.oci.distribution import transfer

    place, reference = layout_at(layout), registry.parse(target)
    if reference.host is None or not reference.tag:
        raise ImageError(f"{target} is not in a registry; write it like registry.example.com/shop/search:v1")
    found, client = image_in(place, image), registry.Stores().of(reference.host)
    push_image(place, found, client, reference.repository, reference.tag, partial(transfer, quiet=quiet))
    print_json({"ref": target, "digest": found.digest}) if as_json else click.echo(f"{target}  {found.digest}")


@click.command()
@click.argument("source", metavar="REGISTRY/PATH:TAG")
@tag_option
@layout_option
@json_option
@quiet_option
def pull(source: str, tag: str | None, layout: Path | None, as_json: bool, quiet: bool) -> None:
    """Pull an image from a registry, for all of its platforms; by tag or as REGISTRY/PATH@sha256:…"""
    from lykeion import registry

    reference = registry.parse(source)
    place, ref = layout_at(layout, create=True), tag or f"{reference.name}:{reference.tag or 'latest'}"
    if reference.host:
        reference = reference.at(registry.resolve(registry.Stores().of(reference.host), reference))
    with place.lock_content():
        found = fetch(str(reference), None, place, quiet=quiet)
        place.set_ref(ref, found)
    print_json({"ref": ref, "digest": found.digest}) if as_json else click.echo(f"{ref}  {found.digest}")


def fetch(source: str, platform: "Platform | None", layout: "Layout", *, quiet: bool) -> "Descriptor":
    from lykeion import registry
    from lykeion.images import ImageError, pull_image
    from lykeion.oci.distribution import transfer

    reference = registry.parse(source)
    if reference.host is None or not reference.digest:
        raise ImageError(f"{source} is not in a registry; write it like registry.example.com/shop/python@sha256:…")
    return pull_image(
        registry.Stores().of(reference.host),
        reference.repository,
        reference.digest,
        layout,
        partial(transfer, quiet=quiet),
        platforms=[platform] if platform else [],
        attached=platform is None,
    )
