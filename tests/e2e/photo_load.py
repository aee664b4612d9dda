"""Clients that search by photo, one request after the other, until they are ended."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from .platform_machine import until

CLIENTS = 2


@dataclass(frozen=True)
class PhotoAnswer:
    """``edition`` is the attribute that all products in the answer have; ``found``: the first is the photo's own."""

    status: int
    edition: str = ""
    found: bool = False


class PhotoLoad:
    """``photos`` are those of ``product-0``, ``product-1`` and so on; ``host`` is the name of the service."""

    def __init__(self, url: str, photos: Sequence[bytes], host: str = "") -> None:
        self._url, self._photos = url, photos
        self._headers = {"Host": host} if host else {}
        self.answers: list[PhotoAnswer] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self) -> "PhotoLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def await_more(self, count: int) -> None:
        wanted = len(self.answers) + count
        until(lambda: len(self.answers) > wanted, seconds=120)

    @property
    def failed(self) -> list[PhotoAnswer]:
        return [answer for answer in self.answers if answer.status != 200]

    @property
    def editions(self) -> set[str]:
        return {answer.edition for answer in self.answers}

    def _run(self, number: int) -> None:
        with httpx.Client(timeout=60, headers=self._headers, trust_env=False) as client:
            while not self._end.is_set():
                number = (number + CLIENTS) % len(self._photos)
                self.answers.append(self._search(client, number))
                self._end.wait(0.02)  # the machine has other work

    def _search(self, client: httpx.Client, number: int) -> PhotoAnswer:
        photo = {"photo": ("photo.jpg", self._photos[number])}
        try:
            response = client.post(f"{self._url}/v1/search/photo", files=photo, data={"k": "5"})
        except httpx.HTTPError as error:
            return PhotoAnswer(0, repr(error))
        if response.status_code != 200:
            return PhotoAnswer(response.status_code, response.text)
        results = response.json()["results"]
        editions = sorted({result["attributes"]["edition"] for result in results})
        return PhotoAnswer(200, " and ".join(editions), results[0]["id"] == f"product-{number}")
