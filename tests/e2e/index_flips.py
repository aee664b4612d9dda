"""Indexes that can be told apart by their answers, links that are flipped, and clients that ask all the while."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from lykeion.search.index import open_index

from .platform_machine import until

DIMENSION = 16
PRODUCTS = 300


def make_index(path: Path, *, embedder: str = "") -> Path:
    """An index of vectors from elsewhere, of products that have the same ids in each, and its name as attribute."""
    vectors = np.random.default_rng(0).standard_normal((PRODUCTS, DIMENSION))
    with open_index(path, "w", dimension=DIMENSION, embedder=embedder) as index:
        index.upsert([str(n) for n in range(PRODUCTS)], vectors, [{"of": path.name}] * PRODUCTS)
    return path


def flip(link: Path, target: Path) -> None:
    new = link.with_name(f".{link.name}")
    new.symlink_to(target)
    new.replace(link)


@dataclass
class Load:
    """What clients have been answered so far: the status, the index, and those that the products are of."""

    url: str
    answers: list[tuple[int, str, frozenset[str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def ask(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.netloc, timeout=60)
        while not self.ended.is_set():
            by_id = random.random() < 0.5
            body = {"id": str(random.integers(PRODUCTS))} if by_id else {"vector": random.random(DIMENSION).tolist()}
            path = f"{parts.path}/v1/search/{'id' if by_id else 'vector'}"
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            of = frozenset(each["attributes"]["of"] for each in answer.get("results", []))
            self.answers.append((response.status, answer.get("index", ""), of))

    def await_more(self, count: int) -> None:
        wanted = len(self.answers) + count
        until(lambda: len(self.answers) > wanted)

    @property
    def failed(self) -> list[tuple[int, str, frozenset[str]]]:
        return [answer for answer in self.answers if answer[0] != 200]

    @property
    def mixed(self) -> list[tuple[int, str, frozenset[str]]]:
        """Answers with products of another index than the one that they name, or of several."""
        return [answer for answer in self.answers if answer[2] != {answer[1]}]


@contextmanager
def load(url: str, clients: int = 6) -> Iterator[Load]:
    asked = Load(url)
    threads = [threading.Thread(target=asked.ask, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        asked.ended.set()
        for thread in threads:
            thread.join()
