"""Artifacts of runs: kept under the alias ``run-UID`` of what made them, and forgotten when that is no more."""

from collections.abc import Callable, Collection, Iterable

from lykeion.oci.distribution import ArtifactStore

from .model_names import is_public, version_number
from .moves import alias_of

RUN = "run-"
CACHE = "cache-"


def forget_runs(store: ArtifactStore, prefixes: Iterable[str], live: Callable[[], Collection[str]]) -> int:
    """Remove the tags of artifacts below ``prefixes`` whose runs are no more; returns the number of artifacts.

    ``live`` returns the UIDs of all that may still need theirs; it is called after tags were listed, so that a run
    which has begun meanwhile loses nothing. An artifact with a tag of a user's own is kept. ``collect`` frees the
    space. Raises StoreError.
    """
    starts = tuple(prefixes)
    tags = {
        repository: {tag: digest for tag in store.tags(repository) if (digest := store.resolve(repository, tag))}
        for repository in store.repositories()
        if repository.startswith(starts)
    }
    uids = live()
    forgotten = 0
    for repository, digests in tags.items():
        kept = {digest for tag, digest in digests.items() if _is_needed(tag, uids)}
        gone = {digest for tag, digest in digests.items() if is_public(tag)} - kept
        forgotten += len(gone)
        for tag, digest in digests.items():
            alias = alias_of(tag)
            if digest in gone or (alias and digests.get(alias[0]) in gone):
                store.untag(repository, tag)
    return forgotten


def _is_needed(tag: str, uids: Collection[str]) -> bool:
    """Whether the tag alone keeps its artifact."""
    if tag.startswith(RUN):
        return tag.removeprefix(RUN) in uids
    return is_public(tag) and not tag.startswith(CACHE) and version_number(tag) is None
