"""An image's layers unpacked into a directory, as a container runtime would see them.

Layers are untrusted: nothing outside of the directory is written or changed, devices are skipped, and set-user-ID
bits are dropped. Everything is done relative to directory descriptors without following links, since a path may have
changed its meaning since it was last used.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lykeion.core import CONSOLE, Reporter
from lykeion.images.errors import LayerError
from lykeion.oci import Layout

from .entries import WHITEOUT
from .image_layer import ImageLayer
from .layer_files import OPAQUE, clean, open_tar, resolve, taken_away
from .tar_reader import TarBudget, TarMember, TarReader

PIECE_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_DIRECTORY = (FileNotFoundError, NotADirectoryError)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(layout: Layout, layers: Sequence[ImageLayer], target: Path, *, reporter: Reporter = CONSOLE) -> None:
    """Unpack into ``target``, which is created, and removed on failure. Raises LayerError, ContentError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    work.chmod(0o755)
    budget = TarBudget()
    try:
        bar = reporter.progress("Unpacking layers", len(layers), unit="layers")
        with _Tree(work) as tree, bar as progress:
            for layer in layers:
                tree.apply(layout, layer, budget)
                progress.advance()
        _rename(work, target)
    except OSError as error:
        raise LayerError(
            f"{target}: {error.strerror or error}; the layers are inconsistent, or the disk is full"
        ) from None
    finally:
        remove(work)


def remove(directory: Path) -> None:
    """Remove an unpacked directory, if it exists."""
    if directory.exists():
        shutil.rmtree(directory)


def _rename(work: Path, target: Path) -> None:
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise


class LinksOnDisk:
    """Symbolic links below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, path: str, /) -> str | None:
        full = self._root / path
        return str(full.readlink()) if full.is_symlink() else None


class _Tree:
    """``path`` is always relative to the root, and only its last part may be a link."""

    def __init__(self, root: Path) -> None:
        self._links = LinksOnDisk(root)
        self._root = os.open(root, _DIRECTORY)
        self._written: set[str] = set()  # by the current layer

    def __enter__(self) -> "_Tree":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def apply(self, layout: Layout, layer: ImageLayer, budget: TarBudget) -> None:
        layout.verify(layer.descriptor)
        self._written = set()
        with open_tar(layout, layer.descriptor, budget) as tar:
            for member in tar:
                path = clean(member.name)
                directory, _, name = path.rpartition("/")
                directory = resolve(directory, self._links)
                if name == OPAQUE:
                    self._clear(directory)
                elif name.startswith(WHITEOUT):
                    self._take_away(directory, taken_away(path))
                elif path and member.kind != "device":
                    self._put(tar, member, directory, name)
            tar.check(layer.diff_id)

    def _put(self, tar: TarReader, member: TarMember, directory: str, name: str) -> None:
        self._note(_joined(directory, name))
        with self._opened(directory, create=True) as at:
            if member.kind != "directory" or not _is_directory(name, at):
                _remove(name, at)
                self._make(tar, member, at, name)
            if os.geteuid() == 0:
                os.chown(name, member.uid, member.gid, dir_fd=at, follow_symlinks=False)
            if member.kind == "directory":
                with _closing(os.open(name, _DIRECTORY, dir_fd=at)) as made:
                    os.fchmod(made, member.mode & 0o1777 | 0o700)  # never set-user-id or set-group-id

    def _make(self, tar: TarReader, member: TarMember, at: int, name: str) -> None:
        if member.kind == "directory":
            os.mkdir(name, 0o700, dir_fd=at)
        elif member.kind == "symlink":
            os.symlink(member.target, name, dir_fd=at)
        elif member.kind == "hardlink":
            self._link(member, at, name)
        else:
            with os.fdopen(os.open(name, _NEW_FILE, 0o600, dir_fd=at), "wb") as file:
                while piece := tar.read(PIECE_BYTES):
                    file.write(piece)
                os.fchmod(file.fileno(), member.mode & 0o1777)

    def _link(self, member: TarMember, at: int, name: str) -> None:
        directory, _, original = resolve(clean(member.target), self._links).rpartition("/")
        try:
            with self._opened(directory) as there:
                if not stat.S_ISREG(os.stat(original, dir_fd=there, follow_symlinks=False).st_mode):
                    raise FileNotFoundError
                os.link(original, name, src_dir_fd=there, dst_dir_fd=at, follow_symlinks=False)
        except _NO_DIRECTORY:
            what = f"{member.name[:200]!r} to {member.target[:200]!r}"
            raise LayerError(f"a layer links {what}, which does not exist") from None

    @contextmanager
    def _opened(self, directory: str, *, create: bool = False) -> Generator[int]:
        """A descriptor of a directory, opened without following links."""
        descriptor = os.dup(self._root)
        try:
            for part in directory.split("/") if directory else ():
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                outer, descriptor = descriptor, os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(outer)
            yield descriptor
        finally:
            os.close(descriptor)

    def _note(self, path: str) -> None:
        while path and path not in self._written:
            self._written.add(path)
            path = path.rpartition("/")[0]

    def _clear(self, directory: str) -> None:
        """Delete everything in a directory that lower layers put there."""
        names: list[str] = []
        with suppress(*_NO_DIRECTORY), self._opened(directory) as at, os.scandir(at) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            self._take_away(directory, name)

    def _take_away(self, directory: str, name: str) -> None:
        """Delete what lower layers put there."""
        path = _joined(directory, name)
        with suppress(*_NO_DIRECTORY), self._opened(directory) as at:
            if path not in self._written:
                _remove(name, at)
                return
        self._clear(path)


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _is_directory(name: str, at: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove(name: str, at: int) -> None:
    """Remove it if it exists; a link itself, not its target."""
    if _is_directory(name, at):
        shutil.rmtree(name, dir_fd=at)
        return
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)


@contextmanager
def _closing(descriptor: int) -> Generator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
