"""Which index a name refers to now: a path, which may be a link, or a Milvus collection."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IndexEdition:
    """One of the indexes that a name refers to over time.

    ``id`` is shown to clients. ``inode`` tells apart directories that had the same path, one after the other. What is
    ``read_only`` never changes, and no file is written beside it.
    """

    id: str
    uri: str
    inode: tuple[int, int] = (0, 0)
    read_only: bool = False


class IndexSource(Protocol):
    follow_s: float | None
    """Seconds between two looks, where nothing else is asked for; None to look once."""

    def look(self) -> IndexEdition:
        """The edition that the name refers to now. Cheap: it is called again and again."""
        ...

    def fetch(self, edition: IndexEdition) -> None:
        """Have the edition on this machine."""
        ...


class PathSource:
    """A directory, or a link to one, which is opened where the link leads: flipping it changes no open index."""

    follow_s: float | None = 1.0

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def look(self) -> IndexEdition:
        target = Path(os.path.realpath(self._path))
        place = self._path if target == self._path.absolute() else target
        try:
            stat = target.stat()
        except OSError:
            return IndexEdition(target.name, str(place))  # opening it says what is wrong
        return IndexEdition(target.name, str(place), (stat.st_dev, stat.st_ino))

    def fetch(self, edition: IndexEdition) -> None:
        pass


class ServerSource:
    """A collection on a server, which is one index for ever."""

    follow_s: float | None = None

    def __init__(self, uri: str) -> None:
        self._edition = IndexEdition(uri.partition("?")[0].rpartition("/")[2], uri)

    def look(self) -> IndexEdition:
        return self._edition

    def fetch(self, edition: IndexEdition) -> None:
        pass
