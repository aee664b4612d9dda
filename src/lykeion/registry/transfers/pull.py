"""From a store to a directory, which is there whole or not at all."""

import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lykeion.core import CONSOLE, LockError, Reporter, digest_file, locked
from lykeion.oci.distribution import Advance, ArtifactStore, Reference, StoreError, transfer
from lykeion.registry.artifact.facts import FILE
from lykeion.registry.artifact.model_artifact import File, Model
from lykeion.registry.resolving import facts_of
from lykeion.registry.trust.policy import Policy, load_trusted

from .blob_cache import BlobCache, place


@dataclass(frozen=True, slots=True)
class Pulled:
    """``new`` is false where the directory held just this model already."""

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
    """Write a model's files to a directory that is not there yet, or is empty, or holds the same model.

    Files from a registry come through the cache and are links to it, read-only. Raises NotFound, Untrusted before
    anything is fetched, ContentDamaged, InvalidModel, StoreError.
    """
    with store.busy():
        model = load_trusted(policy, store, reference)
        new = not _holds(directory, model)
        if new:
            _write(store, reference, model, directory, cache or BlobCache(), reporter)
    return Pulled(str(reference.at(model.digest)), model.digest, str(directory), new, model.size_bytes)


def keep(
    store: ArtifactStore,
    reference: Reference,
    *,
    policy: Policy | None = None,
    reporter: Reporter = CONSOLE,
) -> Path:
    """The directory with a model's files on this machine: pulled once, verified each time.

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
            raise StoreError(f"{directory}: {error.strerror or error}; LYKEION_HOME names another place") from None
    return directory


def _write(
    store: ArtifactStore,
    reference: Reference,
    model: Model,
    directory: Path,
    cache: BlobCache,
    reporter: Reporter,
) -> None:
    facts_of(store, reference.repository, model)  # which also sees that the annotations are true
    try:
        if directory.exists() and any(directory.iterdir()):
            raise StoreError(f"{directory} holds something else; give a directory that is not there yet")
        with _in_the_making(directory) as making:
            jobs = [
                partial(_fetch, store, reference.repository, file, making / file.path, cache) for file in model.files
            ]
            transfer(f"pulling {reference}", model.size_bytes, jobs, reporter)
            if model.facts:
                (making / FILE).write_bytes(store.read(reference.repository, model.facts))
            making.replace(directory)
    except OSError as error:
        raise StoreError(f"{directory}: {error.strerror or error}") from None


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

    source = cache.obtain(file.blob, lambda path: store.fetch(repository, file.blob, path, counted))
    advance(file.blob.size - moved)
    place(source, target)


def _holds(directory: Path, model: Model) -> bool:
    """Whether the directory holds the model's files, and they are unchanged."""
    try:
        return all(
            (path := directory / file.path).stat().st_size == file.blob.size and digest_file(path) == file.blob.digest
            for file in model.files
        )
    except OSError:
        return False


@contextmanager
def _in_the_making(directory: Path) -> Generator[Path]:
    """A new directory beside the one to be, locked while it is written; gone afterwards unless it was moved. What
    killed processes left goes too."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{directory.name}.pulling-"
    for left in directory.parent.glob(f"{prefix}*"):
        with suppress(OSError, LockError), locked(left, create=False, wait=False):
            shutil.rmtree(left)
    making = directory.parent / f"{prefix}{secrets.token_hex(4)}"
    making.mkdir()
    with locked(making, create=False):
        try:
            yield making
        finally:
            shutil.rmtree(making, ignore_errors=True)
