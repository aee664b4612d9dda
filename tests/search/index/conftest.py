from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lykeion.search.index.protocol import Index

from .backends import BACKENDS, EACH, Place


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_milvus() -> Iterator[None]:
    """pymilvus sleeps half a second before it looks whether an index is built, which Milvus Lite does at once."""
    from pymilvus.client.grpc_handler import GrpcHandler

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GrpcHandler, "wait_for_creating_index", lambda *_, **__: (True, ""))
        yield


@pytest.fixture(params=EACH)
def place(request: pytest.FixtureRequest, directory: Path) -> Place:
    """Where a new index can be made, on each backend in turn."""
    backend: Callable[[Path], Place] = BACKENDS[request.param]
    return backend(directory)


@pytest.fixture
def index(place: Place) -> Iterator[Index]:
    """An empty index of dimension 4, cosine."""
    opened = place.open()
    yield opened
    opened.close()
