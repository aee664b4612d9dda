"""Sources of photos, and what they yield: photos to add, and failures. Sources are streamed, never kept in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from lykeion.core import Invalid
from lykeion.search.index import MAX_ID_BYTES, MAX_PHOTO_NAME_BYTES, Attributes, ColumnType


class SourceError(Invalid):
    """The folder or manifest cannot be read."""


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """One photo to add. ``location`` is a file or an http(s) URL; ``photo`` its name within the product.

    ``attributes`` replace the product's; None leaves them as they are.
    """

    id: str
    photo: str
    location: Path | str
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that was not added. An empty ``id`` means that its product is not known."""

    id: str
    photo: str
    file: str
    cause: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is skipped; unlike a failure, it was not declared to be a photo."""

    file: str
    cause: str


Entry: TypeAlias = ListedPhoto | Failure | Skipped


class PhotoSource(Protocol):
    """Yields photos to add, failures for invalid entries, and skipped files and folders.

    Each iteration starts from the beginning.
    """

    def __iter__(self) -> Iterator[Entry]: ...

    def fit(self, columns: Mapping[str, ColumnType]) -> list[str]:
        """Take account of the index's columns. Returns warnings about the source's columns, one line each.

        Raises SourceError for a declared type that does not fit the index's column.
        """
        ...

    def count(self) -> int:
        """The approximate number of photos, to estimate the time left. Reads the source once, fast."""
        ...


def id_problem(id: str) -> str:
    """Why this cannot be an id; empty if it can."""
    return _problem("id", id, MAX_ID_BYTES)


def photo_problem(photo: str) -> str:
    """Why this cannot name a photo; empty if it can."""
    return _problem("photo's name", photo, MAX_PHOTO_NAME_BYTES)


def _problem(what: str, text: str, limit: int) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return f"the {what} is not valid UTF-8: it holds half a character (a lone surrogate)"
    if not size:
        return f"the {what} is empty"
    return f"the {what} has {size:,} bytes; at most {limit:,} are allowed" if size > limit else ""


def printable(text: str) -> str:
    """The text for reports, with characters replaced that UTF-8 cannot encode."""
    return text.encode(errors="replace").decode()
