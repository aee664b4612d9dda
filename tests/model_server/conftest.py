from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from starlette.testclient import TestClient

from lykeion.model_server import ServedModel, model_app
from lykeion.web_kit import ServerSettings

from .tiny import served


@pytest.fixture(scope="module")
def model() -> Iterator[ServedModel]:
    with closing(served()) as model:
        yield model


@pytest.fixture(scope="module")
def client(model: ServedModel) -> Iterator[TestClient]:
    with asking(model) as client:
        yield client


@contextmanager
def asking(model: ServedModel, settings: ServerSettings | None = None) -> Iterator[TestClient]:
    """A client that shows an error inside the server as the 500 that a person would see."""
    app = model_app(model, settings or ServerSettings())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client
