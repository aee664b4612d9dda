"""The Python part of an image: locked wheels, unpacked into layers that images share.

Each large wheel has its own layer, which other images with the same wheel share; small ones share a layer, since the
number of layers is limited.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from lykeion.core import Reporter
from lykeion.images.errors import BaseError, WheelError
from lykeion.images.layers.compression import Compression, compressor
from lykeion.images.layers.entries import TarEntry, with_directories
from lykeion.images.layers.image_layer import ImageLayer, pack
from lykeion.images.python.environment import ROOT, Environment
from lykeion.images.python.interpreter import Interpreter
from lykeion.images.python.requirements import read_requirements
from lykeion.images.python.wheelhouse import WheelFile, collect
from lykeion.images.python.wheels import Unpacked, unpack_wheel
from lykeion.images.spec import PythonSpec

from .base import Base
from .build_cache import BuildCache

FORMAT = 1
"""Incremented when the same wheels would give other layers."""
LARGE_BYTES = 16 << 20
MOST_LARGE = 24


@dataclass(frozen=True)
class Wheel:
    file: WheelFile
    unpacked: Unpacked

    @property
    def size_bytes(self) -> int:
        return sum(entry.size for entry in self.unpacked.entries)


@dataclass(frozen=True)
class PythonLayers:
    """``overlaps`` has a line for each path that two wheels have with different content."""

    layers: tuple[ImageLayer, ...]
    wheels: tuple[Wheel, ...]
    overlaps: tuple[str, ...] = ()


def python_layers(
    spec: PythonSpec, base: Base, compression: Compression, cache: BuildCache, reporter: Reporter
) -> PythonLayers:
    """Raises ImageError: a base without Python, requirements that are not locked, wheels that do not fit."""
    interpreter = base.facts.interpreter
    if interpreter is None:
        raise BaseError(f"the base {base.name} has no python3 on its PATH, and the image has Python requirements")
    environment = Environment(interpreter)
    locked = read_requirements(spec.requirements, interpreter)
    files = collect(locked, interpreter, spec.wheels, cache.wheels, index=spec.index)
    wheels = tuple(Wheel(file, unpack_wheel(file.path, environment)) for file in files)
    large = sorted(wheels, key=lambda wheel: (-wheel.size_bytes, wheel.file.name))[:MOST_LARGE]
    alone = [wheel for wheel in wheels if wheel in large and wheel.size_bytes >= LARGE_BYTES]
    groups = [[wheel] for wheel in alone] + [[wheel for wheel in wheels if wheel not in alone]]
    layers: list[ImageLayer] = []
    with reporter.progress("Unpacking wheels", len(wheels), unit="wheels") as progress:
        for place, group in enumerate(groups):
            last = place == len(groups) - 1
            layers.append(_layer(group, environment, environment.entries() if last else [], compression, cache))
            progress.advance(len(group))
    return PythonLayers(tuple(layers), wheels, tuple(_overlaps(groups, environment)))


def _layer(
    wheels: Sequence[Wheel],
    environment: Environment,
    more: Sequence[TarEntry],
    compression: Compression,
    cache: BuildCache,
) -> ImageLayer:
    inputs = {
        "format": FORMAT,
        "wheels": [wheel.file.sha256 for wheel in wheels],
        "environment": [ROOT, _described(environment.interpreter), len(more)],
        "compressor": compressor(compression),
    }
    if kept := cache.layer(inputs):
        return kept
    by_path = {entry.path: entry for wheel in wheels for entry in wheel.unpacked.entries}
    by_path |= {entry.path: entry for entry in more}
    names = [f"{wheel.file.name} {wheel.file.version}" for wheel in wheels]
    title = names[0] if len(names) == 1 else f"{len(names)} wheels" if names else "environment"
    layer = pack(cache.layout, with_directories(list(by_path.values()), ROOT), compression, title)
    cache.keep(inputs, layer)
    return layer


def _described(interpreter: Interpreter) -> list[str]:
    return [interpreter.path, interpreter.short]


def _overlaps(groups: Sequence[Sequence[Wheel]], environment: Environment) -> list[str]:
    """Raises WheelError for a wheel that would replace a file of the environment itself."""
    owners: dict[str, tuple[str, TarEntry]] = {
        entry.path: ("the environment", entry) for entry in environment.entries()
    }
    lines: list[str] = []
    for wheel in (wheel for group in groups for wheel in group):
        for entry in wheel.unpacked.entries:
            owner, other = owners.get(entry.path, (wheel.file.name, entry))
            if owner == "the environment":
                raise WheelError(f"{wheel.file.path.name} would replace the environment's own /{entry.path}")
            if owner != wheel.file.name and _digest(other) != _digest(entry):
                lines.append(f"/{entry.path} is in {owner} and in {wheel.file.name}, whose file is used")
            owners[entry.path] = wheel.file.name, entry
    return lines


def _digest(entry: TarEntry) -> str:
    with entry.open() as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
