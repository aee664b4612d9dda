import pytest

from lykeion.search.embedder import Embedder

from .tiny import write_network


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder.load(write_network(tmp_path_factory.mktemp("network") / "tiny.tflite"))
