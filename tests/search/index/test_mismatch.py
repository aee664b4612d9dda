"""An index of other vectors says in one line what it holds, what was wanted, and what to do."""

import pytest

from lykeion.core import Conflict
from lykeion.search.index import EmbedderMismatch


@pytest.mark.parametrize(
    ("what", "holds", "wanted", "says"),
    [
        (
            "embedder",
            "sha256:" + "a" * 64,
            "sha256:" + "b" * 64,
            "shop.index holds vectors of the embedder sha256:aaaaaaaaaaaa…, not of sha256:bbbbbbbbbbbb…; "
            "name that embedder with --embedder, or another index",
        ),
        (
            "embedder",
            "sha256:other",
            None,
            "shop.index holds vectors of the embedder sha256:other, not of unknown; "
            "name that embedder with --embedder, or another index",
        ),
        (
            "embedder",
            None,
            "sha256:" + "b" * 64,
            "shop.index holds vectors of an unknown embedder; search it by vector or by id, or name another index",
        ),
        (
            "dimension",
            1280,
            64,
            "shop.index holds vectors of the dimension 1280, not of 64; name that dimension, or another index",
        ),
    ],
)
def test_a_mismatch_says_what_is_there_and_what_was_wanted(
    what: str, holds: object, wanted: object, says: str
) -> None:
    error = EmbedderMismatch.of("shop.index", what, holds, wanted)
    assert str(error) == says
    assert isinstance(error, Conflict)
