"""The address of a collection, and the consistency of reads from it."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import unquote, urlsplit

from lykeion.search.index.errors import IndexFormatError

TOKEN_VARIABLE = "LYKEION_MILVUS_TOKEN"  # noqa: S105 - the variable's name, not a token

Consistency: TypeAlias = Literal["strong", "session", "bounded"]
"""What a read sees: all earlier writes; all writes of this process, and those of others that have arrived; or writes
of any process that are some seconds old."""


@dataclass(frozen=True)
class Address:
    """The location of a collection: ``uri`` for pymilvus, and whether that is a file of Milvus Lite."""

    uri: str
    collection: str
    lite: bool
    consistency: Consistency = "session"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From milvus://host:port/collection, milvus+tls://… or milvus:///path/file.db/collection.

        A server's address may end in ``?consistency=strong``, ``session`` or ``bounded``. Raises IndexFormatError.
        """
        parts = urlsplit(text)
        place, _, collection = unquote(parts.path).rpartition("/")
        lite = parts.scheme == "milvus" and not parts.netloc
        wrong = parts.scheme not in ("milvus", "milvus+tls") or parts.fragment or "@" in parts.netloc
        if wrong or (not place.endswith(".db") if lite else place or not parts.netloc):
            raise IndexFormatError(
                f"{text}: write milvus://host:port/collection, milvus+tls://host:port/collection or "
                f"milvus:///path/file.db/collection; a token goes into {TOKEN_VARIABLE}"
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", collection):
            raise IndexFormatError(f"{text}: a collection's name has letters, digits and underscores only")
        if lite:
            if parts.query:
                raise IndexFormatError(
                    f"{text}: a file of Milvus Lite has no options; what is written is seen at once"
                )
            return cls(place, collection, lite)
        uri = f"{'https' if parts.scheme == 'milvus+tls' else 'http'}://{parts.netloc}"
        return cls(uri, collection, lite, _consistency(text, parts.query))


def _consistency(text: str, query: str) -> Consistency:
    if not query:
        return "session"
    for level in get_args(Consistency):
        if query == f"consistency={level}":
            return level
    raise IndexFormatError(
        f"{text}: the option of an address is consistency=strong, session or bounded; a token goes into "
        f"{TOKEN_VARIABLE}"
    )
