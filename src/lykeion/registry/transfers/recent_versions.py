"""Versions that a program follows one after the other: each in a directory of the cache, the older ones removed."""

import os
from contextlib import suppress
from pathlib import Path

from lykeion.core import CONSOLE, Reporter, locked
from lykeion.oci.distribution import ArtifactStore, Reference, StoreError
from lykeion.registry.trust.policy import Policy

from .blob_cache import BlobCache
from .pull import pull

KEPT = 3


def recent_directory(reference: Reference) -> Path:
    """Where ``keep_recent`` puts the version of this digest."""
    assert reference.digest
    return BlobCache().recent(f"{reference.host or ''}/{reference.repository}", reference.digest)


def keep_recent(
    store: ArtifactStore,
    reference: Reference,
    *,
    policy: Policy | None = None,
    kept: int = KEPT,
    reporter: Reporter = CONSOLE,
) -> Path:
    """The directory of a version, which ``reference`` names by its digest: pulled once, verified each time.

    Of the other versions of this artifact, those that were asked for last stay, ``kept`` in all. Programs that read a
    removed one must have opened its files. Raises what ``pull`` raises.
    """
    directory, cache = recent_directory(reference), BlobCache()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        pull(store, reference, directory, policy=policy, cache=cache, reporter=reporter)
        with suppress(OSError):  # in a read-only cache the order of use stays as it was
            os.utime(directory)
        with locked(directory.parent, create=False):
            for old in _by_use(directory.parent)[kept:]:
                cache.discard(old)
    except OSError as error:
        raise StoreError(f"{directory}: {error.strerror or error}; set LYKEION_HOME to another place") from None
    return directory


def _by_use(home: Path) -> list[Path]:
    """The versions, the last used first; not what is being pulled."""
    versions = [path for path in home.iterdir() if not path.name.startswith(".")]
    return sorted(versions, key=lambda path: path.stat().st_mtime_ns, reverse=True)
