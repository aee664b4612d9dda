"""Where the files of Fashion-MNIST come from. What a source gives is checked by whoever asks."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import httpx

from lykeion.core import CONSOLE, Progress, cache_directory, first_line

from .published import DataSetError, IdxFile

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
HOME = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
)
_GZIP_BYTES = 1024  # gzip may add its header and trailer to what cannot be compressed
_APT_OPTIONS = ("-o=Acquire::Retries=0", "-o=Acquire::http::Timeout=10", "-o=Acquire::https::Timeout=10")

Packed = Iterator[tuple[IdxFile, bytes]]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Source:
    """``fetch`` gives those of the files that it has, gzip-packed, and raises DataSetError where it should have more.

    What comes from afar is kept for the next time.
    """

    name: str
    fetch: Callable[[Sequence[IdxFile]], Packed]
    far: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download may take: until an answer begins or continues, in all, and pauses between attempts."""

    answer_s: float = 10
    total_s: float = 600
    pauses_s: tuple[float, ...] = (0.5, 1.0)


def kept_copy() -> Path:
    return cache_directory() / "datasets" / "fashion-mnist"


def default_sources() -> list[Source]:
    return [
        Source("Debian's package", partial(from_folder, DEBIAN)),
        Source("the kept copy", partial(from_folder, kept_copy())),
        Source("GitHub", from_github, far=True),
        Source("apt-get", from_apt, far=True),
    ]


def from_folder(folder: Path, files: Sequence[IdxFile]) -> Packed:
    for file in files:
        path = folder / file.packed_name
        try:
            if path.is_file():
                with path.open("rb") as opened:
                    yield file, opened.read(file.size_bytes + _GZIP_BYTES)
        except OSError as error:
            raise DataSetError(f"{path}: {error.strerror}") from error


def from_github(files: Sequence[IdxFile], *, home: str = HOME, patience: Patience = Patience()) -> Packed:
    """Through the proxy of HTTPS_PROXY and its like, if there is one."""
    deadline = time.monotonic() + patience.total_s
    with CONSOLE.progress("downloading Fashion-MNIST", unit="KiB") as progress:
        for file in files:
            limit = file.size_bytes + _GZIP_BYTES
            yield file, _download(home + file.packed_name, limit, patience, deadline, progress)


def from_apt(
    files: Sequence[IdxFile], *, apt_get: str = "apt-get", refresh: bool | None = None, timeout_s: float = 120
) -> Packed:
    """Debian's package, unpacked without being installed; ``refresh`` the list, if root, where it is not found."""
    if not shutil.which(apt_get) or not shutil.which("dpkg-deb"):
        return
    refresh = os.geteuid() == 0 if refresh is None else refresh
    download = (apt_get, "download", *_APT_OPTIONS, PACKAGE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            _run(download, folder, timeout_s)
        except DataSetError as error:
            if not refresh or "Unable to locate" not in str(error):
                raise
            _run((apt_get, "update", *_APT_OPTIONS), folder, timeout_s)
            _run(download, folder, timeout_s)
        for package in folder.glob("*.deb"):
            _run(("dpkg-deb", "-x", package.name, "."), folder, timeout_s)
        yield from from_folder(folder / DEBIAN.relative_to("/"), files)


def _download(url: str, limit: int, patience: Patience, deadline: float, progress: Progress) -> bytes:
    name = url.rpartition("/")[2]
    for pause_s in (*patience.pauses_s, None):
        try:
            return _download_once(url, limit, patience.answer_s, deadline, progress)
        except httpx.HTTPError as error:
            if pause_s is None or not _may_pass(error):
                raise DataSetError(f"{name}: {first_line(error)}") from error
            time.sleep(pause_s)
        except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:  # settings of a proxy or certificates
            raise DataSetError(f"{name}: {first_line(error)}") from error
    raise AssertionError


def _download_once(url: str, limit: int, answer_s: float, deadline: float, progress: Progress) -> bytes:
    client = httpx.Client(timeout=answer_s, follow_redirects=True, headers={"Accept-Encoding": "identity"})
    response = _within(answer_s, lambda: client.send(client.build_request("GET", url), stream=True))
    content = bytearray()
    with closing(client), closing(response):
        response.raise_for_status()
        for part in response.iter_bytes():
            content += part
            progress.advance(len(part) >> 10)
            if len(content) > limit:
                raise DataSetError("larger than Fashion-MNIST is")
            if time.monotonic() > deadline:
                raise DataSetError("too slow")
    return bytes(content)


def _may_pass(error: httpx.HTTPError) -> bool:
    """Whether the next attempt may do better."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return not isinstance(error, httpx.TimeoutException)


def _within(seconds: float, work: Callable[[], Result]) -> Result:
    """The result of ``work``, in a thread that is left behind if it takes longer: resolving names has no timeout."""
    results: SimpleQueue[Result | Exception] = SimpleQueue()

    def run() -> None:
        try:
            results.put(work())
        except Exception as error:
            results.put(error)

    Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise DataSetError(f"no answer within {seconds:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _run(command: Sequence[str], folder: Path, timeout_s: float) -> None:
    """Raises DataSetError with its first complaint. It writes to a file: its children may outlive it."""
    with tempfile.TemporaryFile("w+") as said:
        try:
            subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, "LC_ALL": "C"},
                timeout=timeout_s,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise DataSetError(f"{command[1]}: not done within {timeout_s:g} s") from None
        except (OSError, subprocess.CalledProcessError) as error:
            said.seek(0)
            reason = [line for line in said.read().splitlines() if line.startswith("E:")] or [first_line(error)]
            raise DataSetError(f"{command[1]}: {reason[0].removeprefix('E: ')}") from None
