from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from lykeion.search.embedder import Embedder
from lykeion.search.index import Index, open_index
from lykeion.search.service import Catalogue
from lykeion.search.thumbnails import FILE_NAME, Thumbnails
from lykeion.web_kit import ServerSettings
from tests.search.ingest.tiny import write_network

from .shop import COLOURS, WARM, photo, service


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """A small network that tells all the colours from one another."""
    return Embedder.load(write_network(tmp_path_factory.mktemp("network") / "tiny.tflite", seed=3))


@pytest.fixture
def shop_path(tmp_path: Path) -> Path:
    return tmp_path / "shop.index"


@pytest.fixture
def index(embedder: Embedder, shop_path: Path) -> Index:
    """A product for every colour, named by it, with a price and whether it is warm."""
    index = open_index(shop_path, "shared", dimension=embedder.dimension, embedder=embedder.digest, durability="os")
    vectors = np.stack([embedder.embed_photo(photo(colour)).vector for colour in COLOURS])
    index.upsert(
        COLOURS, vectors, [{"price": 10 * (n + 1), "warm": colour in WARM} for n, colour in enumerate(COLOURS)]
    )
    return index


@pytest.fixture
def catalogue(index: Index, embedder: Embedder, shop_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(index, embedder, Thumbnails(shop_path / FILE_NAME))
    yield catalogue
    catalogue.close()


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[TestClient]:
    with service(catalogue, ServerSettings()) as client:
        yield client
