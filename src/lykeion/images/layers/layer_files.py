"""The files of an image, from its layers' tars, without unpacking.

Layers are untrusted, so the resources that they take are limited. Whiteouts: image-spec, layer.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol

from lykeion.images.errors import LayerError
from lykeion.oci import Descriptor, Layout

from .compression import decompressed
from .entries import LIMIT_DEPTH, WHITEOUT
from .image_layer import ImageLayer
from .tar_reader import TarBudget, TarMember, TarReader, Timed

LIMIT_LINKS = 40
OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class Found:
    layer: Descriptor
    member: TarMember


class Files:
    """Names and links of all layers, upper layers first. Content is read in another pass over a layer."""

    def __init__(self, layout: Layout, layers: Iterable[ImageLayer]) -> None:
        """Raises LayerError for a tar that cannot be read or does not match its ``diff_id``."""
        self._layout = layout
        self._found: dict[str, Found] = {}
        parents: set[str] = set()
        budget = TarBudget()
        for layer in layers:
            upper: dict[str, Found] = {}
            hidden: set[str] = set()  # with everything below it
            emptied: set[str] = set()
            with open_tar(layout, layer.descriptor, budget) as tar:
                for member in tar:
                    path = clean(member.name)
                    directory, _, name = path.rpartition("/")
                    if name == OPAQUE:
                        emptied.add(directory)
                    elif name.startswith(WHITEOUT):
                        hidden.add(f"{directory}/{taken_away(path)}".lstrip("/"))
                    else:
                        upper[path] = Found(layer.descriptor, member)
                tar.check(layer.diff_id)
            hidden |= {path for path in upper.keys() & parents if upper[path].member.kind != "directory"}
            if hidden or emptied:
                self._found = {path: it for path, it in self._found.items() if not _is_gone(path, hidden, emptied)}
            self._found.update(upper)
            parents.update(parent for path in upper for parent in _above(path))

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Symbolic links: path to target, as written."""
        return {path: found.member.target for path, found in self._found.items() if found.member.kind == "symlink"}

    @property
    def directories(self) -> frozenset[str]:
        return frozenset(path for path, found in self._found.items() if found.member.kind == "directory")

    def paths(self) -> Iterator[str]:
        return iter(self._found)

    def is_file(self, path: str) -> bool:
        found = self._found.get(resolve(path, self.links))
        return found is not None and found.member.kind in ("file", "hardlink")

    def read(self, path: str, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a file, empty if there is none. Raises LayerError."""
        found = self._found.get(resolve(path, self.links))
        if found is None or found.member.kind not in ("file", "hardlink"):
            return b""
        name = found.member.target if found.member.kind == "hardlink" else found.member.name
        with open_tar(self._layout, found.layer, TarBudget()) as tar:
            for member in tar:
                if clean(member.name) == clean(name) and member.kind == "file":
                    return tar.read(limit)
        return b""


class Links(Protocol):
    def get(self, path: str, /) -> str | None:
        """The target of a symbolic link, None for anything else."""
        ...


def resolve(path: str, links: Links) -> str:
    """``path`` with all links resolved, which cannot lead above the root. Raises LayerError."""
    waiting = list(reversed(PurePosixPath(path).parts))
    done: list[str] = []
    followed = 0
    while waiting:
        part = waiting.pop()
        if part in ("/", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        target = links.get("/".join([*done, part]))
        if target is None:
            done.append(part)
            if len(done) > LIMIT_DEPTH:
                raise LayerError(f"/{path[:200]} is more than {LIMIT_DEPTH} directories deep")
            continue
        followed += 1
        if followed > LIMIT_LINKS:
            raise LayerError(f"/{path[:200]}: more than {LIMIT_LINKS} links in a chain")
        if target.startswith("/"):
            done = []
        waiting.extend(reversed(PurePosixPath(target).parts))
    return "/".join(done)


def clean(name: str) -> str:
    """A tar's name as a path from the root: no leading slash or dot.

    Raises LayerError for ``..`` and NUL, and for a directory that is a whiteout or too deep.
    """
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts or "\0" in name:
        raise LayerError(f"a layer tries to write {name[:200]!r}, outside of its root")
    if len(path.parts) > LIMIT_DEPTH:
        raise LayerError(f"a layer has a file more than {LIMIT_DEPTH} directories deep: {name[:200]!r}")
    if any(part.startswith(WHITEOUT) for part in path.parts[:-1]):
        raise LayerError(f"a layer has a file in a whiteout: {name[:200]!r}")
    return "" if str(path) == "." else str(path)


def taken_away(whiteout: str) -> str:
    """The name that a whiteout deletes, which must be in its own directory. Raises LayerError for another."""
    name = whiteout.rpartition("/")[2].removeprefix(WHITEOUT)
    if name in ("", ".", ".."):
        raise LayerError(f"a layer has a whiteout that names no file: {whiteout[:200]!r}")
    return name


def _is_gone(path: str, hidden: set[str], emptied: set[str]) -> bool:
    above = _above(path)
    return path in hidden or not hidden.isdisjoint(above) or not emptied.isdisjoint(["", *above])


def _above(path: str) -> list[str]:
    return [path[:at] for at, letter in enumerate(path) if letter == "/"]


@contextmanager
def open_tar(layout: Layout, layer: Descriptor, budget: TarBudget) -> Iterator[TarReader]:
    """A layer's tar, for a single pass. Raises LayerError, BlobMissing, Unsupported."""
    budget.spend("layers")
    with layout.open_blob(layer.digest) as blob:
        yield TarReader(decompressed(Timed(blob, budget), layer.media_type), budget)
