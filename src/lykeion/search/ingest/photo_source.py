"""What a source of photos gives: photos to take in, and failures. Sources are read as streams, never held whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from lykeion.core import Invalid
from lykeion.search.index import MAX_ID_BYTES, MAX_PHOTO_NAME_BYTES, Attributes, ColumnType


class SourceError(Invalid):
    """The folder or manifest cannot be read as such."""


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """One photo to take in. ``location`` is a file or an http(s) URL; ``photo`` its name within the product.

    ``attributes`` replace the product's; None leaves them as they are.
    """

    id: str
    photo: str
    location: Path | str
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that was not taken in. An empty ``id`` means that it is not known which product was meant."""

    id: str
    photo: str
    file: str
    cause: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is passed over: nobody said that it is a photo."""

    file: str
    cause: str


Entry: TypeAlias = ListedPhoto | Failure | Skipped


class PhotoSource(Protocol):
    """Photos to take in, failures for what is listed but cannot be meant, and what is passed over.

    Iterating again starts again.
    """

    def __iter__(self) -> Iterator[Entry]: ...

    def fit(self, columns: Mapping[str, ColumnType]) -> list[str]:
        """Learn of the columns that the index has. Returns what a person should know of the source's, a line each.

        Raises SourceError for a declared type that cannot come to such a column.
        """
        ...

    def count(self) -> int:
        """About how many photos there are, for the time left. Reads the source once, fast."""
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
    """The text with what UTF-8 cannot write replaced, for reports."""
    return text.encode(errors="replace").decode()
