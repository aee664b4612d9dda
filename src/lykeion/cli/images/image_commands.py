"""``lykeion images``: container images for training and serving."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from lykeion import images, inputs, oci, registry
from lykeion.cli.options import json_option, quiet_option, registry_option, store_option, trust_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import Reporter, print_line

from .image_options import layout_option, short


@click.command()
@click.argument("description", type=click.Path(path_type=Path))
@click.option(
    "--tag", "-t", "tags", multiple=True, metavar="NAME:TAG", help="Name; default: NAME:latest. Repeatable."
)
@click.option(
    "--model",
    metavar="MODEL",
    help="Model to serve: a directory, a .tflite file, or a version (shoes:v3).",
)
@click.option(
    "--context",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Refuse a DESCRIPTION that uses files outside of DIR.",
)
@click.option(
    "--digest-file", type=click.Path(path_type=Path), metavar="FILE", help="Write the image's digest to FILE too."
)
@store_option
@registry_option
@trust_option
@layout_option
@json_option
@quiet_option
def build(
    description: Path,
    tags: tuple[str, ...],
    model: str | None,
    context: Path | None,
    digest_file: Path | None,
    store: Path | None,
    trust: Path | None,
    layout: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Build the image described by DESCRIPTION (image.yaml), with bill of materials and provenance.

    The same inputs give the same digest, on any machine. A DESCRIPTION called Dockerfile is passed to buildah; the
    digest is then what buildah makes of it. With a trust policy the image holds no model that it does not allow.
    """
    output = images.open_image_layout(layout, create=True)
    if images.is_dockerfile(description):
        print_line(f"{description} has commands to run: buildah builds it", err=True)
        ref = next(iter(tags), f"{description.absolute().parent.name.lower()}:latest")
        image = images.build_dockerfile(description, output, ref)
        _name(output, image, tags[1:], digest_file)
        document: dict[str, Any] = {"ref": ref, "digest": image.digest, "layout": str(output.root)}
        print_result(as_json, document, f"{ref}  {image.digest}")
        return
    spec = images.read_spec(description)
    if context:
        images.check_inside(spec, context)
    served = model or (str(spec.model) if spec.model else None)
    built = images.build(
        dataclasses.replace(spec, model=inputs.find_model(served, trust, store)) if served else spec,
        output,
        ref=next(iter(tags), ""),
        reporter=reporter,
    )
    _name(output, built.descriptor, tags[1:], digest_file)
    for line in (line for part in built.parts for line in part.python.overlaps):
        print_line(f"warning: {line}", err=True)
    if as_json:
        print_json(_described(built, output))
        return
    rows = [
        (str(part.platform), layer.title, f"{layer.descriptor.size / 1e6:.2f}", short(layer.descriptor.digest))
        for part in built.parts
        for layer in part.layers
    ]
    print_table(("platform", "layer", "MB", "digest"), rows, title=built.ref, right=("MB",))
    print_line(built.descriptor.digest)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--tag", "-t", required=True, metavar="NAME:TAG", help="Name of the image.")
@click.option("--uncompressed", is_flag=True, help="Leave the layer as a plain tar.")
@layout_option
@json_option
def volume(directory: Path, tag: str, uncompressed: bool, layout: Path | None, as_json: bool) -> None:
    """Make an image of DIRECTORY alone, for clusters that mount images as volumes."""
    output = images.open_image_layout(layout, create=True)
    made = images.build_volume(directory, output, tag, compression="none" if uncompressed else "zstd")
    document = {"ref": tag, "digest": made.descriptor.digest, "size_bytes": made.layer.descriptor.size}
    print_result(as_json, {**document, "layout": str(output.root)}, f"{tag}  {made.descriptor.digest}")


@click.command()
@click.argument("repository")
@click.argument("commit")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace DIRECTORY if it exists.")
def checkout(repository: str, commit: str, directory: Path, replace: bool) -> None:
    """Write the files of a COMMIT, branch or tag of a Git REPOSITORY to a new DIRECTORY.

    No hook runs, and no submodule is fetched.
    """
    images.check_out(repository, images.git_commit(repository, commit), directory, replace=replace)


@click.command()
@click.argument("wheels", type=click.Path(path_type=Path))
def lock(wheels: Path) -> None:
    """Print locked requirements for all wheels in the directory WHEELS."""
    for line in images.lock(wheels).splitlines():
        print_line(line)


@click.command("list")
@layout_option
@json_option
def list_(layout: Path | None, as_json: bool) -> None:
    """List the images of the layout."""
    found = images.image_list(images.open_image_layout(layout))
    if as_json:
        print_json({"images": found})
    else:
        columns = ("image", "platforms", "MB", "digest")
        rows = [
            (it["ref"], ", ".join(it["platforms"]), f"{it['size_bytes'] / 1e6:.2f}", short(it["digest"]))
            for it in found
        ]
        print_table(columns, rows, right=("MB",))


@click.command()
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
    place = images.open_image_layout(layout)
    found = images.find_image(place, image)
    if attached:
        print_json(images.read_attached(place, found, attached), indent=1)
        return
    described = images.describe_image(place, found)
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
                ("layer", f"{short(it['digest'])}  {it['size_bytes'] / 1e6:.1f} MB  {it['title']}")
                for it in part["layers"]
            ),
            *(("attached", f"{short(it['digest'])}  {it['type']}") for it in part["attached"]),
        ]
        print_table(("", ""), rows, title=f"{image} for {part['platform']}")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--env",
    "-e",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Set a variable, by default to its value here; repeatable.",
)
@click.option(
    "--env-fd",
    type=click.IntRange(3),
    metavar="N",
    help="Read variables from this file descriptor: NAME=VALUE, each ended by NUL.",
)
@click.option(
    "--volume",
    "-v",
    "volumes",
    multiple=True,
    metavar="HOST:IMAGE[:ro,U]",
    help="Mount a path; U: as root, give it to the image's user. Repeatable.",
)
@click.option("--entrypoint", metavar="PROGRAM", help="Replaces the image's program and its arguments.")
@click.option("--workdir", "-w", metavar="DIR", help="In the image; default: the image's.")
@trust_option
@layout_option
@quiet_option
def run(
    image: str,
    arguments: tuple[str, ...],
    variables: tuple[str, ...],
    env_fd: int | None,
    volumes: tuple[str, ...],
    entrypoint: str | None,
    workdir: str | None,
    trust: Path | None,
    layout: Path | None,
    reporter: Reporter,
) -> None:
    """Start an IMAGE on this machine, without a container engine. Options come before IMAGE.

    ARGUMENTS replace the image's own, with --entrypoint its program too. The root file system is read-only, /tmp is
    empty, ports are this machine's. It shows that an image starts; it is not a security boundary. With a trust
    policy, only what it allows by name: a rule without keys.
    """
    if trust:
        registry.check_image(registry.read_policy(trust), image)
    place = images.open_image_layout(layout)
    images.run(
        place,
        images.find_image(place, image),
        arguments,
        entrypoint=entrypoint or "",
        workdir=workdir or "",
        environment={**(images.read_variables(env_fd) if env_fd else {}), **_variables(variables)},
        volumes=[images.Volume.parse(volume) for volume in volumes],
        reporter=reporter,
    )


@click.command()
@click.option("--remove", multiple=True, metavar="NAME:TAG", help="Remove this name first; repeatable.")
@click.option("--caches", is_flag=True, help="Also empty the caches of builds and runs, but for images that run.")
@layout_option
@json_option
def prune(remove: tuple[str, ...], caches: bool, layout: Path | None, as_json: bool) -> None:
    """Remove images without a name, such as those that a newer build replaced."""
    place = images.open_image_layout(layout)
    pruned = images.prune(place, remove, caches=caches)
    print_result(
        as_json,
        {"blobs": pruned.blobs, "size_bytes": pruned.size_bytes},
        f"{pruned.blobs} blobs, {pruned.size_bytes / 1e6:.1f} MB",
    )


def _name(layout: "oci.Layout", image: "oci.Descriptor", names: Iterable[str], digest_file: Path | None) -> None:
    """Give an image that was built further names, and write its digest."""
    for name in names:
        layout.set_ref(name, image)
    if digest_file:
        digest_file.write_text(image.digest)


def _variables(given: Iterable[str]) -> dict[str, str]:
    """Those without a value have that of this process, if it has one."""
    if nameless := [each for each in given if each.startswith("=")]:
        raise click.BadParameter(f"{nameless[0]!r} has no name; write NAME=VALUE, or NAME", param_hint="--env")
    parts = (each.partition("=") for each in given)
    found = {name: value if equals else os.environ.get(name) for name, equals, value in parts}
    return {name: value for name, value in found.items() if value is not None}


def _described(built: "images.BuiltImage", output: "oci.Layout") -> dict[str, Any]:
    return {
        "ref": built.ref,
        "layout": str(output.root),
        **images.describe_image(output, built.descriptor),
        "overlaps": [line for part in built.parts for line in part.python.overlaps],
    }
