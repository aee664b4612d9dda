"""The files of an image, as its layers' tars say: what is where, without unpacking.

Layers come from elsewhere, so what they may cost is limited. Whiteouts: image-spec, layer.md.
"""

import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from lykeion.images.errors import LayerError
from lykeion.oci import Descriptor, Layout

from .compression import decompressed

LIMIT_ENTRIES = 2_000_000
LIMIT_LINKS = 40
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True)
class Found:
    layer: Descriptor
    member: tarfile.TarInfo


class Files:
    """Names and links of all layers, the upper over the lower. Content is read by going through a layer again."""

    def __init__(self, layout: Layout, layers: Iterable[Descriptor]) -> None:
        """Raises LayerError for a tar that cannot be read."""
        self._layout = layout
        self._found: dict[str, Found] = {}
        for layer in layers:
            upper: dict[str, Found] = {}
            with open_tar(layout, layer) as tar:
                for member in members(tar):
                    self._enter(clean(member.name), Found(layer, member), upper)
            self._found.update(upper)

    def _enter(self, path: str, found: Found, upper: dict[str, Found]) -> None:
        directory, _, name = path.rpartition("/")
        if name == OPAQUE:
            self._forget(directory, itself=False)
        elif name.startswith(WHITEOUT):
            self._forget(f"{directory}/{name.removeprefix(WHITEOUT)}".lstrip("/"), itself=True)
        else:
            upper[path] = found

    def _forget(self, path: str, *, itself: bool) -> None:
        for other in [other for other in self._found if other.startswith(f"{path}/") or (itself and other == path)]:
            del self._found[other]

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Symbolic links: path to target, as written."""
        return {path: found.member.linkname for path, found in self._found.items() if found.member.issym()}

    @property
    def directories(self) -> frozenset[str]:
        return frozenset(path for path, found in self._found.items() if found.member.isdir())

    def paths(self) -> Iterator[str]:
        return iter(self._found)

    def is_file(self, path: str) -> bool:
        found = self._found.get(resolve(path, self.links))
        return found is not None and (found.member.isreg() or found.member.islnk())

    def read(self, path: str, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a file, empty if there is none. Raises LayerError."""
        found = self._found.get(resolve(path, self.links))
        if found is None or not (found.member.isreg() or found.member.islnk()):
            return b""
        name = found.member.linkname if found.member.islnk() else found.member.name
        with open_tar(self._layout, found.layer) as tar:
            for member in members(tar):
                if clean(member.name) == clean(name) and member.isreg():
                    file = tar.extractfile(member)
                    return file.read(limit) if file else b""
        return b""


class Links(Protocol):
    def get(self, path: str, /) -> str | None:
        """The target of a symbolic link, None for anything else."""
        ...


def resolve(path: str, links: Links) -> str:
    """Where ``path`` is when its links are followed, none of which leads above the root. Raises LayerError."""
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
            continue
        followed += 1
        if followed > LIMIT_LINKS:
            raise LayerError(f"/{path}: more than {LIMIT_LINKS} links lead to one another")
        if target.startswith("/"):
            done = []
        waiting.extend(reversed(PurePosixPath(target).parts))
    return "/".join(done)


def clean(name: str) -> str:
    """A tar's name as a path from the root: no leading slash or dot. Raises LayerError for ``..`` and NUL."""
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts or "\0" in name:
        raise LayerError(f"a layer wants to write {name[:200]!r}, outside of its root")
    return "" if str(path) == "." else str(path)


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Raises LayerError for damage, and after LIMIT_ENTRIES."""
    try:
        for count, member in enumerate(tar):
            if count >= LIMIT_ENTRIES:
                raise LayerError(f"a layer of over {LIMIT_ENTRIES:,} files")
            yield member
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # tarfile keeps every member otherwise
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise LayerError(f"a layer cannot be read: {str(error)[:200]}") from None


@contextmanager
def open_tar(layout: Layout, layer: Descriptor) -> Iterator[tarfile.TarFile]:
    """A layer's tar, to be gone through once. Raises LayerError, BlobMissing, Unsupported."""
    with layout.open_blob(layer.digest) as blob:
        yield _open(decompressed(blob, layer.media_type), layer)


def _open(stream: BinaryIO, layer: Descriptor) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18, encoding="utf-8", errors="surrogateescape")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise LayerError(f"{layer.digest} is not a layer: {str(error)[:200]}") from None
