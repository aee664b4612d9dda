"""Named networks, and the syntax of names: ``mobilenet-v2-0.5@160``, or a file."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lykeion.core import write_atomically, writing

from .architecture import Architecture, ArchitectureError
from .counts import count
from .families.efficientnet_lite import efficientnet_lite0
from .families.mobilenet_v1 import mobilenet_v1
from .families.mobilenet_v2 import mobilenet_v2
from .families.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small


@dataclass(frozen=True, slots=True)
class Network:
    """A published network. ``widths`` are those with published weights; empty if it has no width multiplier."""

    make: Callable[[float], Architecture]
    paper: str
    widths: tuple[float, ...] = ()


NETWORKS = {
    "mobilenet-v1": Network(mobilenet_v1, "arXiv:1704.04861", (0.25, 0.5, 0.75, 1.0)),
    "mobilenet-v2": Network(mobilenet_v2, "arXiv:1801.04381", (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
    "mobilenet-v3-small": Network(mobilenet_v3_small, "arXiv:1905.02244", (0.75, 1.0)),
    "mobilenet-v3-large": Network(mobilenet_v3_large, "arXiv:1905.02244", (0.75, 1.0)),
    "mobilenet-v3-small-minimalistic": Network(
        partial(mobilenet_v3_small, minimalistic=True), "arXiv:1905.02244", (1.0,)
    ),
    "mobilenet-v3-large-minimalistic": Network(
        partial(mobilenet_v3_large, minimalistic=True), "arXiv:1905.02244", (1.0,)
    ),
    "efficientnet-lite0": Network(lambda _: efficientnet_lite0(), "arXiv:1905.11946"),
}


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """What there is to know of a named network, at width 1; ``resolution`` is in pixels a side."""

    name: str
    widths: tuple[float, ...]
    resolution: int
    parameters: int
    multiply_adds: int
    dimension: int
    paper: str


def known_networks() -> list[KnownNetwork]:
    """All that have a name."""
    return [_known(name, network) for name, network in NETWORKS.items()]


def find(
    spec: str, *, resolution: int | None = None, classes: int | None = None, channels: int | None = None
) -> Architecture:
    """The network that ``spec`` names: NAME, NAME-WIDTH, either with @RESOLUTION, or a .json file of an architecture.

    ``resolution`` (pixels), ``classes`` and ``channels`` of the photos replace its own. Raises
    ArchitectureError.
    """
    if spec.endswith(".json"):
        architecture = Architecture.read(Path(spec))
    else:
        name, _, pixels = spec.partition("@")
        architecture = _named(name)
        if pixels and resolution is None:
            resolution = _number(spec, pixels)
    given = {"height": resolution, "width": resolution, "classes": classes, "channels": channels}
    return replace(architecture, **{field: value for field, value in given.items() if value is not None})


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Write the JSON file that ``find`` reads. Raises ArchitectureError."""
    with writing(path, ArchitectureError):
        write_atomically(path, json.dumps(architecture.to_json(), indent=1).encode())


def _known(name: str, network: Network) -> KnownNetwork:
    made = network.make(1.0)
    counts = count(made)
    return KnownNetwork(
        name, network.widths, made.height, counts.parameters, counts.multiply_adds, made.dimension, network.paper
    )


def _named(name: str) -> Architecture:
    if name in NETWORKS:
        return NETWORKS[name].make(1.0)
    base, _, text = name.rpartition("-")
    if base not in NETWORKS:
        raise ArchitectureError(
            f"no network {name!r}; name a .json file, or one of {', '.join(NETWORKS)}, "
            "with a width and a resolution as in mobilenet-v2-0.5@160"
        )
    try:
        width = float(text)
    except ValueError:
        width = 0.0
    if not NETWORKS[base].widths:
        raise ArchitectureError(f"{name!r}: {base} has only one width; leave out {text!r}")
    if not 0.05 <= width <= 10:
        raise ArchitectureError(f"{name!r}: {text!r} is not a width; give a number from 0.05 to 10, as in {base}-0.5")
    return NETWORKS[base].make(width)


def _number(spec: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise ArchitectureError(f"{spec!r}: {text!r} is not a resolution; give pixels, as in mobilenet-v2@160")
    return int(text)
