"""Indexes that can be told apart by their answers, and a service that follows a name from one to the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from lykeion.search.index import open_index
from lykeion.search.service import ServedCatalogue, create_app, find_source, followed_catalogue
from lykeion.search.service.index_follower import IndexFollower
from lykeion.search.thumbnails import IN_INDEX
from lykeion.web_kit import ServerSettings

DIMENSION = 4
BODY = {"vector": [1.0, 0, 0, 0]}


def make(path: Path, *, dimension: int = DIMENSION, embedder: str = "") -> Path:
    """An index of three products, whose attribute says which index it is."""
    with open_index(path, "w", dimension=dimension, embedder=embedder) as index:
        index.upsert(["1", "2", "3"], np.eye(3, dimension), [{"of": path.name}] * 3)
    return path


def flip(link: Path, target: Path) -> None:
    new = link.with_name("new-link")
    new.symlink_to(target)
    new.replace(link)


@dataclass
class Service:
    served: ServedCatalogue
    follower: IndexFollower
    client: TestClient
    swapped: list[str] = field(default_factory=list)

    def search(self) -> tuple[str, set[str]]:
        """The index that answers, and those that the products in the answer are of."""
        answer = self.client.post("/v1/search/vector", json=BODY).json()
        return answer["index"], {result["attributes"]["of"] for result in answer["results"]}

    def health(self) -> dict:
        return self.client.get("/healthz").json()


@contextmanager
def following(name: Path | str) -> Iterator[Service]:
    """A service whose follower looks when the test tells it to."""
    source, swapped = find_source(str(name)), []
    source.follow_s = None
    with followed_catalogue(source) as served:
        follower = IndexFollower(served, source, source.look(), IN_INDEX, swapped.append)
        with TestClient(create_app(served, ServerSettings()), base_url="http://localhost") as client:
            yield Service(served, follower, client, swapped)
