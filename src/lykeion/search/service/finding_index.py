"""From the name of an index, as a user writes it, to its source."""

from pathlib import Path

from .index_sources import IndexSource, PathSource, ServerSource


def find_source(name: str, *, trust: Path | None = None, store: Path | None = None) -> IndexSource:
    """The source of what a user names. With a tag or digest, and unless it is a path, it is of the registry: of the
    ``store`` on this machine or of its host, and checked against the ``trust`` policy.

    Raises InvalidReference, Untrusted.
    """
    if "://" in name:
        return ServerSource(name)
    if name.startswith(("/", ".")) or not {":", "@"} & {*name} or Path(name).exists():
        return PathSource(name)
    from .registry_source import RegistrySource

    return RegistrySource(name, trust, store)
