"""From a directory to a store: first missing blobs, then the version, then the alias."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lykeion.core import CONSOLE, Reporter
from lykeion.oci.distribution import ArtifactStore, InvalidReference, Reference, transfer
from lykeion.registry.aliases import ANYWHERE, move, write_version
from lykeion.registry.artifact.model_artifact import Packed
from lykeion.registry.model_names import check_alias, version_number


@dataclass(frozen=True, slots=True)
class Pushed:
    """``version`` is None if the model already existed and its version was not looked up."""

    reference: str
    digest: str
    version: str | None
    alias: str | None
    new: bool
    size_bytes: int


def push(
    packed: Packed,
    store: ArtifactStore,
    reference: Reference,
    *,
    expect: str | None = ANYWHERE,
    coordinator: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> Pushed:
    """Store a packed model as the next version of ``reference``, and point its alias, if any, to it.

    A blob that already exists costs one request. An interrupted push is resumed. Raises InvalidReference,
    Conflict, Refused, StoreError, and what ``aliases.move`` raises.
    """
    if reference.digest:
        raise InvalidReference(f"{reference}: push determines the digest; name an alias, or nothing")
    model, repository, alias = packed.model, reference.repository, reference.tag
    if alias:
        check_alias(alias)
    digest, version, new = model.digest, None, False
    if not (alias and expect == ANYWHERE and store.resolve(repository, alias) == digest):
        new = not store.holds(repository, digest)
        if new:
            with store.busy():
                _send(packed, store, repository, reporter)
                version = write_version(store, repository, model.data)
        if alias:
            move(store, repository, alias, digest, expect=expect, coordinator=coordinator)
    if version is None and store.compares:
        tags = (tag for tag in store.tags(repository) if version_number(tag) is not None)
        version = next((tag for tag in tags if store.resolve(repository, tag) == digest), None)
    return Pushed(str(reference.at(digest)), digest, version, alias, new, model.size_bytes)


def _send(packed: Packed, store: ArtifactStore, repository: str, reporter: Reporter) -> None:
    blobs = {blob.digest: blob for blob in packed.model.manifest.blobs}
    jobs = [partial(store.put, repository, blob, packed.sources[digest]) for digest, blob in blobs.items()]
    transfer(f"pushing {repository}", sum(blob.size for blob in blobs.values()), jobs, reporter)
