"""The service as a process of its own, and clients of it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from measuring.subprocesses import ROOT

_BOUNDARY = "photo-boundary-5f0d3c"


@contextmanager
def serving(index: Path) -> Iterator[str]:
    """``lykeion serve``; gives host:port."""
    with serving_process(index) as (address, _):
        yield address


@contextmanager
def serving_process(index: Path) -> Iterator[tuple[str, int]]:
    """The same; gives host:port and the process's number."""
    command = [sys.executable, "-c", "from lykeion.cli import main; main()", "serve"]
    with subprocess.Popen(
        [*command, "--index", str(index), "--port", "0", "--no-thumbnails"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if line.startswith("Serving"):
                    yield urlsplit(line.split()[-1]).netloc, process.pid
                    break
            else:
                raise RuntimeError("lykeion serve ended before it was ready")
        finally:
            process.terminate()


@contextmanager
def compacting(index: Path, wanted: bool) -> Iterator[None]:
    """A process that rewrites the index over and over, for as long as the context lasts."""
    if not wanted:
        yield
        return
    job = json.dumps({"index": str(index), "compact": True})
    with subprocess.Popen([sys.executable, "-m", "measuring.query_job", job], cwd=ROOT) as process:
        try:
            yield
        finally:
            process.kill()


def photo_request(address: str, k: int) -> Callable[[bytes], None]:
    """A client with one connection: posts a photo and reads its answers. Raises RuntimeError unless they are 200."""
    connection = HTTPConnection(address, timeout=60)
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="k"\r\n\r\n{k}\r\n--{_BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="photo"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    ).encode()
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

    def ask(photo: bytes) -> None:
        try:
            connection.request("POST", "/v1/search/photo", head + photo + tail, headers)
            response = connection.getresponse()
        except ConnectionError:  # it was idle for long, and the service has closed it
            connection.close()
            connection.request("POST", "/v1/search/photo", head + photo + tail, headers)
            response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"the service answered {response.status}: {body[:200]!r}")

    return ask
