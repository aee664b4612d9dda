"""``lykeion nets``: the known networks, and the layers of each."""

from dataclasses import asdict
from pathlib import Path

import click

from lykeion import nets

from .options import PICTURE, json_option
from .output import print_json, print_table


@click.group("nets")
def commands() -> None:
    """List networks and show what they are made of, counted from their data.

    \b
    lykeion nets list
    lykeion nets show mobilenet-v2-0.5@160
    lykeion nets show mobilenet-v3-small --classes 10 --png network.png
    lykeion nets show mobilenet-v2 --export network.json        to change by hand
    lykeion nets show network.json --layers
    """


@commands.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the networks by name, at width 1, with their parameters and multiply-adds.

    The widths listed are those with published weights; any other from 0.05 to 10 works too.
    """
    found = nets.known_networks()
    if as_json:
        print_json({"networks": [asdict(each) for each in found]})
        return
    print_table(
        ("network", "widths", "photo", "parameters", "MAdds", "embedding"),
        [
            (
                each.name,
                _range(each.widths),
                f"{each.resolution}²",
                f"{each.parameters / 1e6:.2f} M",
                f"{each.multiply_adds / 1e6:.1f} M",
                each.dimension,
            )
            for each in found
        ],
        right=("photo", "parameters", "MAdds", "embedding"),
    )


@commands.command()
@click.argument("network")
@click.option("--resolution", type=click.IntRange(1), metavar="PIXELS", help="Height and width of a photo.")
@click.option("--classes", type=click.IntRange(1), metavar="N", help="Number of classes.")
@click.option("--channels", type=click.IntRange(1), metavar="N", help="Of a photo: 3 for RGB, 1 for grey.")
@click.option("--layers", "of_layers", is_flag=True, help="One line per layer instead of per row.")
@click.option("--png", type=PICTURE, metavar="FILE", help="Draw the rows' costs.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write the architecture as JSON.")
@json_option
def show(
    network: str,
    resolution: int | None,
    classes: int | None,
    channels: int | None,
    of_layers: bool,
    png: Path | None,
    export: Path | None,
    as_json: bool,
) -> None:
    """Show the rows of NETWORK with their output shapes, parameters and multiply-adds for one photo.

    NETWORK is a name of `lykeion nets list`, with a width (mobilenet-v2-0.5), a resolution (mobilenet-v2@160) or
    both, or a .json file of an architecture.
    """
    architecture = nets.find(network, resolution=resolution, classes=classes, channels=channels)
    counts = nets.count(architecture)
    parts = nets.parts_by_layer(architecture) if of_layers else nets.parts_by_row(architecture)
    if png:
        nets.draw_architecture(architecture, png)
    if export:
        nets.write_architecture(architecture, export)
    if as_json:
        print_json(
            {
                "name": architecture.name,
                "photo": [architecture.height, architecture.width, architecture.channels],
                "classes": architecture.classes,
                "dimension": architecture.dimension,
                "parameters": counts.parameters,
                "trainable": counts.trainable,
                "multiply_adds": counts.multiply_adds,
                "layers" if of_layers else "rows": [asdict(part) for part in parts],
            }
        )
        return
    photo = nets.format_shape((architecture.height, architecture.width, architecture.channels))
    total = ("", "total", "", f"{counts.parameters:,}", f"{counts.multiply_adds:,}", "")
    print_table(
        ("", "layer" if of_layers else "row", "output", "parameters", "MAdds", "share"),
        [
            *(
                (
                    part.name,
                    part.what,
                    nets.format_shape(part.shape),
                    f"{part.parameters:,}",
                    f"{part.multiply_adds:,}",
                    f"{part.share:.1%}",
                )
                for part in parts
            ),
            total,
        ],
        title=f"{architecture.name}, photos of {photo}, {architecture.classes} classes",
        right=("output", "parameters", "MAdds", "share"),
    )


def _range(widths: tuple[float, ...]) -> str:
    return "–".join(f"{width:g}" for width in dict.fromkeys((widths[0], widths[-1]))) if widths else ""
