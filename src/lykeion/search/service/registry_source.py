"""An index of the registry, which a name refers to: each version is pulled to the cache once, and only read."""

from pathlib import Path

from lykeion import registry
from lykeion.search.index import IndexFormatError

from .index_sources import IndexEdition

_FILES = ("CURRENT", "index.json")
_LOGS = "log/"


class RegistrySource:
    """``name`` is a reference such as shop-index:current."""

    follow_s: float | None = None

    def __init__(self, name: str, trust: Path | None = None, store: Path | None = None) -> None:
        """``trust`` is the file of a policy that each version must satisfy. Raises InvalidReference, Untrusted."""
        self._store, self._reference = registry.Stores(store).find(name)
        self._policy = registry.read_policy(trust) if trust else None

    def look(self) -> IndexEdition:
        """Raises NotFound, StoreError."""
        digest = registry.resolve(self._store, self._reference)
        directory = registry.recent_directory(self._reference.at(digest))
        return IndexEdition(digest, str(directory), read_only=True)

    def fetch(self, edition: IndexEdition) -> None:
        """Raises IndexFormatError before anything is pulled, if it is no index, and what ``keep_recent`` raises."""
        version = self._reference.at(edition.id)
        files = {file.path for file in registry.load(self._store, version).files}
        if not files.issuperset(_FILES) or not any(path.startswith(_LOGS) for path in files):
            raise IndexFormatError(
                f"{self._reference} is not an index; `lykeion models push DIRECTORY NAME --all-files` stores one"
            )
        registry.keep_recent(self._store, version, policy=self._policy)
