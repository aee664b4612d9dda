"""Finds what image builds are made from: the digest of a directory, the commit of a branch."""

import asyncio
from pathlib import Path

from lykeion import images
from lykeion.platform.lookups import SourceDigest, SourceVersion


class SourceLookup:
    """Remembers digests of directories, so that files are read again only when they may have changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    async def find(self, asked: SourceDigest) -> SourceVersion:
        """Raises NotFound, Unavailable, ImageError, Unsupported without git."""
        return await asyncio.to_thread(self._find, asked)

    def _find(self, asked: SourceDigest) -> SourceVersion:
        if asked.repository:
            commit = images.git_commit(asked.repository, asked.revision)
            return SourceVersion(commit, commit)
        return SourceVersion(asked.directory, self._digest(asked.directory))

    def _digest(self, directory: str) -> str:
        signature = images.directory_signature(Path(directory))
        known, digest = self._known.get(directory, ("", ""))
        if signature != known:
            digest = images.directory_digest(Path(directory))
            self._known[directory] = signature, digest
        return digest
