"""What a source of photos gives: photos to take in, and failures. Sources are read as streams, never held whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lykeion.core import Invalid
from lykeion.search.index import MAX_ID_BYTES, Attributes


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


class PhotoSource(Protocol):
    """Photos to take in, and failures for what is listed but cannot be meant. Iterating again starts again."""

    skipped: int
    """Files passed over in the last iteration because they are no photos."""

    def __iter__(self) -> Iterator[ListedPhoto | Failure]: ...

    def count(self) -> int:
        """About how many photos there are, for the time left. Reads the source once, fast."""
        ...


def id_problem(id: str) -> str:
    """Why this cannot be an id; empty if it can."""
    try:
        size = len(id.encode())
    except UnicodeEncodeError:
        return "the name is not valid UTF-8; rename the file"
    if not size:
        return "the id is empty"
    return f"the id has {size} bytes; at most {MAX_ID_BYTES} are allowed" if size > MAX_ID_BYTES else ""


def printable(text: str) -> str:
    """The text with what UTF-8 cannot write replaced, for reports."""
    return text.encode(errors="replace").decode()
