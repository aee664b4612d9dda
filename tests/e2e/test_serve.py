"""``lykeion serve`` as a person starts it, beside others at work on the index."""

import io
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from lykeion.search.index import open_index
from tests.search.ingest.tiny import jpeg

from .conftest import PHOTOS
from .serving import COMMAND, serving

BOUNDARY = "b"


def search(connection: HTTPConnection, photo: bytes) -> tuple[int, dict]:
    """Status and answer of a search by photo."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request(
        "POST", "/v1/search/photo", head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode(), headers
    )
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def connect(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=30)


@contextmanager
def asking(url: str) -> Iterator[list[tuple[int, dict]]]:
    """Search on and on from another thread; the answers so far, and all of them at the end."""
    answers: list[tuple[int, dict]] = []
    done = threading.Event()

    def ask() -> None:
        connection = connect(url)
        while not done.is_set():
            answers.append(search(connection, jpeg(len(answers) % PHOTOS)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


def products(url: str) -> int:
    return json.loads(urlopen(f"{url}/v1/stats").read())["products"]


def test_no_library_prints_anything_while_photos_are_searched(index: Path, network: Path) -> None:
    with serving(index, "--embedder", str(network)) as (process, url):
        assert search(connect(url), jpeg(1))[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_photos_added_and_compacted_beside_the_service_are_found_and_no_request_fails(
    index: Path, photos: Path, network: Path
):
    with serving(index, "--embedder", str(network)) as (_, url):
        for n in range(PHOTOS, PHOTOS + 20):
            (photos / f"{n}.jpg").write_bytes(jpeg(n))
        with asking(url) as answers:
            command = ["index", "add", str(photos), "--index", str(index), "--embedder", str(network), "--quiet"]
            subprocess.run([*COMMAND, *command], check=True)
            subprocess.run([*COMMAND, "index", "compact", "--index", str(index)], check=True, capture_output=True)
            assert soon(lambda: products(url) == 2 * PHOTOS + 20)
        assert answers
        assert {status for status, _ in answers} == {200}
        _, answer = search(connect(url), jpeg(PHOTOS + 7))
        assert answer["results"][0]["id"] == f"{PHOTOS + 7}.jpg"
        assert urlopen(url + answer["results"][0]["thumbnail"]).read(2) == b"\xff\xd8"


def test_a_write_through_the_service_is_seen_by_other_processes(index: Path, network: Path):
    with serving(index, "--embedder", str(network)) as (_, url), closing(open_index(index)) as reader:
        connection = connect(url)
        connection.request("DELETE", "/v1/items?id=item-0&id=item-1")
        assert json.loads(connection.getresponse().read()) == {"changed": 2}
        assert soon(lambda: reader.count() == PHOTOS - 2)


def test_a_write_while_another_process_holds_the_index_is_503_and_names_its_process(index: Path, network: Path):
    with serving(index, "--embedder", str(network)) as (_, url), closing(open_index(index, "w")):
        connection = connect(url)
        connection.request("DELETE", "/v1/items?id=item-0")
        response = connection.getresponse()
        assert response.status == 503
        assert int(response.getheader("Retry-After", "0")) > 0
        assert "process" in json.loads(response.read())["error"]
        assert search(connect(url), jpeg(0))[0] == 200, "searches go on"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_middle_of_a_request_it_answers_it_and_ends_well(index: Path, network: Path, number: int):
    large = png(np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), np.uint8))
    with serving(index, "--embedder", str(network)) as (process, url), ThreadPoolExecutor() as pool:
        answer = pool.submit(search, connect(url), large)
        assert soon(lambda: b"lykeion_requests_in_flight 2.0" in urlopen(f"{url}/metrics").read())
        process.send_signal(number)
        assert answer.result()[0] == 200
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()
