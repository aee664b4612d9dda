"""From a store to a directory: a new one is created completely or not at all, an existing one is filled.

After an interruption the same pull completes it; concurrent pulls take turns, and the second finds the files.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lykeion.core import CONSOLE, FileLock, LockError, Reporter, digest_file, locked
from lykeion.oci.distribution import Advance, ArtifactStore, Reference, StoreError, transfer
from lykeion.registry.artifact.facts import FILE
from lykeion.registry.artifact.model_artifact import File, Model
from lykeion.registry.resolving import facts_of
from lykeion.registry.trust.policy import Policy, load_trusted

from .blob_cache import BlobCache

_MAKING = ".pulling"
_TURNS = 100


@dataclass(frozen=True, slots=True)
class Pulled:
    """``new`` is false if the directory already held exactly this model."""

    reference: str
    digest: str
    directory: str
    new: bool
    size_bytes: int


def pull(
    store: ArtifactStore,
    reference: Reference,
    directory: Path,
    *,
    policy: Policy | None = None,
    cache: BlobCache | None = None,
    reporter: Reporter = CONSOLE,
) -> Pulled:
    """Write a model's files to a directory that is new, or holds nothing but files of the same model; it may be the
    working directory, a mount, or a link to a directory.

    Files from a registry are read-only links to the cache. Raises NotFound, Untrusted before
    anything is fetched, ContentDamaged, InvalidModel, StoreError.
    """
    with store.busy():
        model = load_trusted(policy, store, reference)
        target = Path(os.path.realpath(directory))
        held = _holds(target, model)
        new = not held and _write(store, reference, model, target, cache or BlobCache(), reporter)
    return Pulled(str(reference.at(model.digest)), model.digest, str(directory), new, model.size_bytes)


def keep(
    store: ArtifactStore,
    reference: Reference,
    *,
    policy: Policy | None = None,
    reporter: Reporter = CONSOLE,
) -> Path:
    """The local directory with a model's files: pulled once, verified each time.

    Raises what ``pull`` raises.
    """
    with store.busy():
        model, cache = load_trusted(policy, store, reference), BlobCache()
        directory = cache.directory(model.digest)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with locked(directory.parent, create=False):
                if not _holds(directory, model):
                    shutil.rmtree(directory, ignore_errors=True)
                    _write(store, reference, model, directory, cache, reporter)
        except OSError as error:
            raise StoreError(f"{directory}: {error.strerror or error}; set LYKEION_HOME to another place") from None
    return directory


def _write(
    store: ArtifactStore,
    reference: Reference,
    model: Model,
    directory: Path,
    cache: BlobCache,
    reporter: Reporter,
) -> bool:
    """Whether anything was written, as another pull to the directory may have done it meanwhile."""
    facts_of(store, reference.repository, model)  # which also checks the annotations
    try:
        with _in_the_making(directory) as making:
            if _holds(directory, model):
                return False
            if strange := _strange(directory, model):
                raise StoreError(f"{directory} has other files ({strange}); give a new or empty directory")
            jobs = [
                partial(_fetch, store, reference.repository, file, making / file.path, cache) for file in model.files
            ]
            transfer(f"pulling {reference}", model.size_bytes, jobs, reporter)
            if model.facts:
                (making / FILE).write_bytes(store.read(reference.repository, model.facts))
            if directory.is_dir():
                for name in _digests(model):
                    (directory / name).parent.mkdir(parents=True, exist_ok=True)
                    (making / name).replace(directory / name)
            else:
                making.replace(directory)
    except OSError as error:
        raise StoreError(f"{directory}: {error.strerror or error}") from None
    return True


def _fetch(
    store: ArtifactStore, repository: str, file: File, target: Path, cache: BlobCache, advance: Advance
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if store.host is None:
        store.fetch(repository, file.blob, target, advance)
        return
    moved = 0

    def counted(count: int) -> None:
        nonlocal moved
        moved += count
        advance(count)

    cache.link(file.blob, lambda path: store.fetch(repository, file.blob, path, counted), target)
    advance(file.blob.size - moved)


def _digests(model: Model) -> dict[str, str]:
    """By name, for the files that a directory of the model has."""
    facts = {FILE: model.facts.digest} if model.facts else {}
    return {file.path: file.blob.digest for file in model.files} | facts


def _holds(directory: Path, model: Model) -> bool:
    """Whether the directory has exactly the model's files, unchanged."""
    there = directory.is_dir() and all((directory / name).is_file() for name in _digests(model))
    return there and not _strange(directory, model)


def _strange(directory: Path, model: Model) -> str | None:
    """The name of an entry in the directory that is not the model's; None if there is none."""
    digests = _digests(model)
    for home, folders, names in os.walk(directory):
        if Path(home) == directory and _MAKING in folders:
            folders.remove(_MAKING)
        for path in (Path(home, name) for name in (*names, *folders)):
            name = path.relative_to(directory).as_posix()
            own = path.is_dir() or (name in digests and path.is_file() and digest_file(path) == digests[name])
            if path.is_symlink() or not own:
                return name
    return None


@contextmanager
def _in_the_making(directory: Path) -> Generator[Path]:
    """A temporary directory inside the target, or beside it if the target is new; removed afterwards unless it was
    moved. For one pull at a time; removes what interrupted ones left."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    for left in directory.parent.glob(f".{directory.name}.pulling-*"):  # from earlier releases
        with suppress(OSError, LockError), locked(left, create=False, wait=False):
            shutil.rmtree(left)
    lock = _turn(directory)
    making, inode = lock.path, lock.path.stat().st_ino
    try:
        for left in making.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield making
    finally:
        with suppress(OSError):
            if making.stat().st_ino == inode:  # or it was moved, and this is the next pull's
                shutil.rmtree(making)
        lock.release()


def _turn(directory: Path) -> FileLock:
    """The lock on the temporary directory. Raises LockError, OSError."""
    problem: LockError | None = None
    for _ in range(_TURNS):
        inside = directory.is_dir()
        making = directory / _MAKING if inside else directory.with_name(f".{directory.name}{_MAKING}")
        with suppress(FileExistsError):  # exist_ok checks again, and raises if it was removed meanwhile
            making.mkdir()
        lock = FileLock(making, create=False)
        try:
            lock.acquire()
        except LockError as error:  # its previous holder has moved or removed it
            problem = error
            continue
        if directory.is_dir() == inside:
            return lock
        with suppress(OSError):
            making.rmdir()
        lock.release()
    raise problem or StoreError(f"{directory}: other processes keep pulling to it")
