from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from lykeion.search.service import Catalogue, Settings
from lykeion.search.thumbnails import Thumbnails

from .stand_ins import COLOURS, MemoryIndex, TinyEmbedder, photo, service


@pytest.fixture
def index() -> MemoryIndex:
    """A product for every colour, named by it, with a price and whether it is warm."""
    index, embedder = MemoryIndex(), TinyEmbedder()
    vectors = np.stack([embedder.embed_photo(photo(colour)).vector for colour in COLOURS])
    attributes = [
        {"price": 10 * (n + 1), "warm": colour in ("red", "yellow", "orange")} for n, colour in enumerate(COLOURS)
    ]
    index.upsert(COLOURS, vectors, attributes)
    return index


@pytest.fixture
def catalogue(index: MemoryIndex, tmp_path) -> Catalogue:
    return Catalogue(index, TinyEmbedder(), Thumbnails(tmp_path / "thumbnails.sqlite"))


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[TestClient]:
    with service(catalogue, Settings()) as client:
        yield client
