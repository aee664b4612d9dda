"""Whether an image is made of nothing but the files of its context."""

from collections.abc import Iterator
from pathlib import Path

from lykeion.images.errors import ContextError
from lykeion.images.spec import ImageSpec


def check_inside(spec: ImageSpec, context: Path) -> None:
    """Raises ContextError if a path of a description leads out of the directory."""
    root = context.resolve()
    for path in _paths(spec):
        if not path.resolve().is_relative_to(root):
            raise ContextError(f"{path} is outside of {context}")


def _paths(spec: ImageSpec) -> Iterator[Path]:
    yield from (source.origin for source in spec.sources)
    if spec.python:
        yield from (spec.python.requirements, *spec.python.wheels)
    yield from (path for path in (spec.base.layout, spec.base.rootfs, spec.model) if path)
