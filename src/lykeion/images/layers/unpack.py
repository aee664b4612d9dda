"""An image's layers unpacked into a directory, as a container runtime would see them.

The layers may be anybody's: nothing is written outside of the directory, devices are left out, and programs that
would run as their owner lose that.
"""

import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from lykeion.core import CONSOLE, Reporter
from lykeion.images.errors import LayerError
from lykeion.oci import Descriptor, Layout

from .layer_files import OPAQUE, WHITEOUT, clean, members, open_tar, resolve

LIMIT_BYTES = 64 << 30
PIECE_BYTES = 1 << 20


def unpack(layout: Layout, layers: Sequence[Descriptor], target: Path, *, reporter: Reporter = CONSOLE) -> None:
    """Unpack into ``target``, which is made, and is not there if this fails. Raises LayerError, ContentError."""
    work = target.with_name(f".{target.name}.{os.getpid()}")
    remove(work)
    work.mkdir(parents=True)
    work.chmod(0o755)
    try:
        tree = _Tree(work)
        with reporter.progress("Unpacking layers", len(layers), unit="layers") as progress:
            for layer in layers:
                tree.apply(layout, layer)
                progress.advance()
        tree.close()
        if not target.exists():
            work.rename(target)
    except OSError as error:
        raise LayerError(
            f"{target}: {error.strerror or error}; the layers do not fit one another, or the disk"
        ) from None
    finally:
        remove(work)


def remove(directory: Path) -> None:
    """Remove a directory that was unpacked, if it is there."""
    if directory.exists():
        shutil.rmtree(directory)


class LinksOnDisk:
    """Symbolic links below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, path: str, /) -> str | None:
        full = self._root / path
        return str(full.readlink()) if full.is_symlink() else None


class _Tree:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._links = LinksOnDisk(root)
        self._written: set[str] = set()  # by the layer at hand
        self._modes: dict[Path, int] = {}  # of directories, set when all is in them
        self._size = 0

    def apply(self, layout: Layout, layer: Descriptor) -> None:
        layout.verify(layer)
        self._written = set()
        with open_tar(layout, layer) as tar:
            for member in members(tar):
                path = clean(member.name)
                directory, _, name = path.rpartition("/")
                directory = resolve(directory, self._links)
                if name == OPAQUE:
                    self._clear(directory)
                elif name.startswith(WHITEOUT):
                    self._take_away(f"{directory}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
                elif path:
                    self._put(tar, member, directory, name)

    def close(self) -> None:
        for path, mode in self._modes.items():
            if path.is_dir() and not path.is_symlink():
                path.chmod(mode)

    def _put(self, tar: tarfile.TarFile, member: tarfile.TarInfo, directory: str, name: str) -> None:
        path = f"{directory}/{name}".lstrip("/")
        full = self._root / path
        self._note(path)
        full.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir() and full.is_dir() and not full.is_symlink():
            self._modes[full] = _mode(member) | 0o700
            return
        self._take_away(path, written=True)
        if member.isdir():
            full.mkdir()
            self._modes[full] = _mode(member) | 0o700
        elif member.issym():
            full.symlink_to(member.linkname)
        elif member.islnk():
            original = self._root / resolve(clean(member.linkname), self._links)
            if not original.is_file() or original.is_symlink():
                raise LayerError(f"a layer links /{path} to /{member.linkname[:200]}, which is not there")
            full.hardlink_to(original)
        elif member.isreg():
            self._write(tar, member, full)
            full.chmod(_mode(member))
        else:
            return
        if os.geteuid() == 0:
            os.lchown(full, member.uid, member.gid)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, full: Path) -> None:
        self._size += member.size
        if self._size > LIMIT_BYTES:
            raise LayerError(f"the image unpacks to over {LIMIT_BYTES >> 30} GiB")
        content = tar.extractfile(member)
        assert content is not None
        with full.open("xb") as file:
            shutil.copyfileobj(content, file, PIECE_BYTES)

    def _note(self, path: str) -> None:
        while path and path not in self._written:
            self._written.add(path)
            path = path.rpartition("/")[0]

    def _clear(self, directory: str) -> None:
        """Take away all in a directory that lower layers put there."""
        full = self._root / directory
        if full.is_dir() and not full.is_symlink():
            for child in list(full.iterdir()):
                self._take_away(f"{directory}/{child.name}".lstrip("/"))

    def _take_away(self, path: str, *, written: bool = False) -> None:
        full = self._root / path
        if path in self._written and not written:
            self._clear(path)
        elif full.is_dir() and not full.is_symlink():
            remove(full)
        else:
            full.unlink(missing_ok=True)


def _mode(member: tarfile.TarInfo) -> int:
    return member.mode & 0o1777  # never set-user-id or set-group-id
