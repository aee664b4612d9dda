"""``lykeion images``: container images for training and serving."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, quiet_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from lykeion.images.build import Built
    from lykeion.oci import Descriptor, Layout, Platform

layout_option = click.option(
    "--layout",
    type=click.Path(path_type=Path),
    envvar="LYKEION_IMAGES",
    metavar="DIR",
    help="OCI layout that holds the images; else one under the state directory.  [env: LYKEION_IMAGES]",
)
tag_option = click.option("--tag", "-t", metavar="NAME:TAG", help="What the image is called; else NAME:latest.")


@click.group()
def images() -> None:
    """Build container images, reproducibly, without a daemon or root; and start them.

    \b
    lykeion images build image.yaml              from base, locked wheels and source
    lykeion images build image.yaml --model DIR  the same, with a model in it
    lykeion images volume DIR -t shoes:v1        a model as an image that clusters mount
    lykeion images run shop:latest               start it here
    """


@images.command()
@click.argument("description", type=click.Path(path_type=Path))
@tag_option
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="PATH", help="Model to serve: a directory or .tflite."
)
@layout_option
@json_option
@quiet_option
def build(
    description: Path, tag: str | None, model: Path | None, layout: Path | None, as_json: bool, quiet: bool
) -> None:
    """Build the image that DESCRIPTION (image.yaml) says, with bill of materials and provenance.

    The same inputs give the same digest, on any machine. A DESCRIPTION called Dockerfile is handed to buildah; the
    digest is then what buildah makes of it.
    """
    from lykeion.images.build import build
    from lykeion.images.dockerfile import build_dockerfile, is_dockerfile
    from lykeion.images.spec import read_spec

    output = _layout(layout, create=True)
    if is_dockerfile(description):
        click.echo(f"{description} has commands to run: buildah builds it", err=True)
        ref = tag or f"{description.absolute().parent.name.lower()}:latest"
        image = build_dockerfile(description, output, ref)
        document: dict[str, Any] = {"ref": ref, "digest": image.digest, "layout": str(output.root)}
        print_json(document) if as_json else click.echo(f"{ref}  {image.digest}")
        return
    spec = read_spec(description)
    built = build(
        replace(spec, model=model) if model else spec,
        output,
        ref=tag or "",
        fetch=partial(_fetch, quiet=quiet),
        quiet=quiet,
    )
    for line in (line for part in built.parts for line in part.python.overlaps):
        click.echo(f"warning: {line}", err=True)
    if as_json:
        print_json(_described(built, output))
        return
    rows = [
        (str(part.platform), layer.title, layer.descriptor.size / 1e6, _short(layer.descriptor.digest))
        for part in built.parts
        for layer in part.layers
    ]
    print_table(("platform", "layer", "MB", "digest"), rows, title=built.ref, right=("MB",))
    click.echo(built.descriptor.digest)


@images.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--tag", "-t", required=True, metavar="NAME:TAG", help="What the image is called.")
@click.option("--uncompressed", is_flag=True, help="Leave the layer as a plain tar.")
@layout_option
@json_option
def volume(directory: Path, tag: str, uncompressed: bool, layout: Path | None, as_json: bool) -> None:
    """Make DIRECTORY an image that holds nothing else, for clusters that mount images as volumes."""
    from lykeion.images.volume import build_volume

    output = _layout(layout, create=True)
    made = build_volume(directory, output, tag, compression="none" if uncompressed else "zstd")
    document = {"ref": tag, "digest": made.descriptor.digest, "size_bytes": made.layer.descriptor.size}
    if as_json:
        print_json({**document, "layout": str(output.root)})
    else:
        click.echo(f"{tag}  {made.descriptor.digest}")


@images.command()
@click.argument("wheels", type=click.Path(path_type=Path))
def lock(wheels: Path) -> None:
    """Print locked requirements for all wheels in the directory WHEELS."""
    from lykeion.images.wheelhouse import lock

    click.echo(lock(wheels), nl=False)


@images.command()
@click.argument("image")
@click.argument("target", metavar="REGISTRY/PATH:TAG")
@layout_option
@json_option
@quiet_option
def push(image: str, target: str, layout: Path | None, as_json: bool, quiet: bool) -> None:
    """Push an IMAGE (NAME:TAG or a digest) to a registry, with what is attached to it."""
    from lykeion import registry
    from lykeion.images.errors import ImageError
    from lykeion.images.remote import push_image
    from lykeion.registry.transfer import transfer

    place, reference = _layout(layout), registry.parse(target)
    if reference.host is None or not reference.tag:
        raise ImageError(f"{target} is not in a registry; write it like registry.example.com/shop/search:v1")
    found, client = _found(place, image), registry.Stores().of(reference.host)
    push_image(place, found, client, reference.repository, reference.tag, partial(transfer, quiet=quiet))
    print_json({"ref": target, "digest": found.digest}) if as_json else click.echo(f"{target}  {found.digest}")


@images.command()
@click.argument("source", metavar="REGISTRY/PATH:TAG")
@tag_option
@layout_option
@json_option
@quiet_option
def pull(source: str, tag: str | None, layout: Path | None, as_json: bool, quiet: bool) -> None:
    """Pull an image from a registry, for all of its platforms; by tag or as REGISTRY/PATH@sha256:…"""
    from lykeion import registry

    reference = registry.parse(source)
    place, ref = _layout(layout, create=True), tag or f"{reference.name}:{reference.tag or 'latest'}"
    if reference.host:
        reference = reference.at(registry.resolve(registry.Stores().of(reference.host), reference))
    with place.lock_content():
        found = _fetch(str(reference), None, place, quiet=quiet)
        place.set_ref(ref, found)
    print_json({"ref": ref, "digest": found.digest}) if as_json else click.echo(f"{ref}  {found.digest}")


@images.command("list")
@layout_option
@json_option
def list_(layout: Path | None, as_json: bool) -> None:
    """List the images of the layout."""
    from lykeion.images.describe import image_list

    found = image_list(_layout(layout, create=layout is None))
    if as_json:
        print_json({"images": found})
    else:
        columns = ("image", "platforms", "MB", "digest")
        rows = [(it["ref"], ", ".join(it["platforms"]), it["size_bytes"] / 1e6, _short(it["digest"])) for it in found]
        print_table(columns, rows, right=("MB",))


@images.command()
@click.argument("image")
@click.option(
    "--attached",
    type=click.Choice(["bill", "provenance"]),
    help="Print the bill of materials or the provenance itself, as JSON.",
)
@layout_option
@json_option
def show(image: str, attached: str | None, layout: Path | None, as_json: bool) -> None:
    """Show an IMAGE (NAME:TAG or a digest): how it starts, its layers, and what is attached to it."""
    from lykeion.images.describe import describe_image, read_attached

    place = _layout(layout)
    found = _found(place, image)
    if attached:
        print(json.dumps(read_attached(place, found, attached), indent=1, ensure_ascii=False))
        return
    described = describe_image(place, found)
    if as_json:
        print_json(described)
        return
    for part in described["platforms"]:
        config = part["config"]
        rows = [
            ("digest", part["digest"]),
            ("starts", " ".join([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])),
            ("user", config.get("User") or "0"),
            ("ports", ", ".join(config.get("ExposedPorts") or ())),
            *(("label", f"{name}={text}") for name, text in (config.get("Labels") or {}).items()),
            *(
                ("layer", f"{_short(it['digest'])}  {it['size_bytes'] / 1e6:.1f} MB  {it['title']}")
                for it in part["layers"]
            ),
            *(("attached", f"{_short(it['digest'])}  {it['type']}") for it in part["attached"]),
        ]
        print_table(("", ""), rows, title=f"{image} for {part['platform']}")


@images.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--env", "-e", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; repeatable.")
@click.option(
    "--volume", "-v", "volumes", multiple=True, metavar="HOST:IMAGE[:ro]", help="Show a path in it; repeatable."
)
@layout_option
@quiet_option
def run(
    image: str,
    arguments: tuple[str, ...],
    variables: tuple[str, ...],
    volumes: tuple[str, ...],
    layout: Path | None,
    quiet: bool,
) -> None:
    """Start an IMAGE on this machine, without a container engine. Options come before IMAGE.

    ARGUMENTS take the place of the image's own. The root file system is read-only, /tmp is empty, ports are this
    machine's. It shows that an image starts; it does not keep in a program that one does not trust.
    """
    from lykeion.images.run import Volume, run

    unset = [variable for variable in variables if "=" not in variable]
    if unset:
        raise click.BadParameter(f"{unset[0]!r} has no value; write NAME=VALUE", param_hint="--env")
    place = _layout(layout)
    run(
        place,
        _found(place, image),
        arguments,
        environment={name: value for name, _, value in (variable.partition("=") for variable in variables)},
        volumes=[Volume.parse(volume) for volume in volumes],
        quiet=quiet,
    )


def _layout(directory: Path | None, *, create: bool = False) -> "Layout":
    from lykeion.core import state_directory
    from lykeion.oci import Layout

    return Layout.open(directory or state_directory() / "images" / "store", create=create)


def _fetch(source: str, platform: "Platform | None", layout: "Layout", *, quiet: bool) -> "Descriptor":
    from lykeion import registry
    from lykeion.images.errors import ImageError
    from lykeion.images.remote import pull_image
    from lykeion.registry.transfer import transfer

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
    )


def _short(digest: str) -> str:
    """Enough of a digest to tell two apart; --json has all of it."""
    return digest.removeprefix("sha256:")[:12]


def _found(layout: "Layout", image: str) -> "Descriptor":
    from lykeion.images.image import find_image

    return find_image(layout, image)


def _described(built: "Built", output: "Layout") -> dict[str, Any]:
    from lykeion.images.describe import describe_image

    return {
        "ref": built.ref,
        "layout": str(output.root),
        **describe_image(output, built.descriptor),
        "overlaps": [line for part in built.parts for line in part.python.overlaps],
    }
