"""Pulled blobs by digest, shared by all processes of a machine: each is fetched once.

Files of the cache are read-only, since pulled directories link to them; they are hashed on each use, and one that
was modified nevertheless is fetched again.
"""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path

from lykeion.core import LockError, cache_directory, digest_bytes, locked
from lykeion.oci import ContentDamaged, Descriptor
from lykeion.oci.distribution import StoreError

_TRIES = 20


class BlobCache:
    """A directory, created on first use."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_directory() / "blobs"

    def obtain(self, descriptor: Descriptor, fetch: Callable[[Path], None]) -> Path:
        """The blob's file. ``fetch`` writes it, resuming a partial file, and verifies it. Raises StoreError."""
        path = self.find(descriptor)
        if path:
            return path
        name = descriptor.digest.removeprefix("sha256:")
        try:
            with self._locked(name):  # another process may have fetched it meanwhile
                if path := self.find(descriptor):
                    return path
                part, path = self.root / "partial" / name, self._path(descriptor.digest)
                fetch(part)
                part.chmod(0o444)
                part.replace(path)
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror or error}; set LYKEION_HOME to another place") from None
        return path

    def link(self, descriptor: Descriptor, fetch: Callable[[Path], None], target: Path) -> None:
        """Have the blob at ``target``, as ``place`` does; where the cache is cleared meanwhile, it is fetched again.

        Raises what ``obtain`` raises, and OSError.
        """
        for _ in range(_TRIES):
            source = self.obtain(descriptor, fetch)
            try:
                return place(source, target)
            except FileNotFoundError:
                if source.exists():
                    raise
        raise StoreError(f"{self.root}: is cleared again and again while {descriptor.digest} is taken from it")

    def find(self, descriptor: Descriptor) -> Path | None:
        """The blob's file, if it exists and is intact: it may have been modified through a link.

        Raises ContentDamaged for a descriptor of another size.
        """
        path = self._path(descriptor.digest)
        try:
            with path.open("rb") as file:  # once, since another process may replace it meanwhile
                digest, size = f"sha256:{file_digest(file, 'sha256').hexdigest()}", file.tell()
        except OSError:
            return None
        if digest != descriptor.digest:
            return None  # and stays until it is replaced, which another process may have done just now
        if size != descriptor.size:
            raise ContentDamaged(f"{digest} has {size:,} bytes, not {descriptor.size:,} as a manifest says")
        return path

    def directory(self, digest: str) -> Path:
        """The directory for the files of the model with this manifest, after it is pulled."""
        return self.root / "models" / digest.removeprefix("sha256:")

    def recent(self, artifact: str, digest: str) -> Path:
        """The directory for one of the recent versions of an artifact; its siblings are the others."""
        return self.root / "recent" / digest_bytes(artifact.encode())[7:39] / digest.removeprefix("sha256:")

    def discard(self, directory: Path) -> None:
        """Remove a pulled directory, and the blobs that nothing else is linked to."""
        linked = {path.stat().st_ino for path in directory.rglob("*") if path.is_file()}
        shutil.rmtree(directory, ignore_errors=True)
        for path in (self.root / "sha256").glob("*"):
            with suppress(OSError, LockError):
                if path.stat().st_ino in linked and path.stat().st_nlink == 1:
                    with self._locked(path.name, wait=False):
                        path.unlink()

    def clear(self) -> tuple[int, int]:
        """Remove everything that is not being fetched; returns the number of files and bytes."""
        models = self.root / "models"
        with suppress(LockError), locked(models, create=False, wait=False):  # which ``keep`` holds while it writes
            for directory in models.iterdir():
                shutil.rmtree(directory, ignore_errors=True)
        for directory in (self.root / "recent").glob("*/[0-9a-f]*"):  # hidden ones are being pulled
            shutil.rmtree(directory, ignore_errors=True)
        files = size = 0
        for path in (*(self.root / "sha256").glob("*"), *(self.root / "partial").glob("*")):
            with suppress(OSError, LockError), self._locked(path.name, wait=False):
                size += path.stat().st_size
                files += 1
                path.unlink()
        return files, size

    def _path(self, digest: str) -> Path:
        return self.root / digest.replace(":", "/")

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Generator[None]:
        for directory in ("sha256", "partial", "locks"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        with locked(self.root / "locks" / name, wait=wait):
            yield


def place(source: Path, target: Path) -> None:
    """Put a file of the cache at ``target``: hard-linked if the file system allows it, else copied. Raises
    OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
