"""A download goes on where it ended, keeps to its bandwidth, and takes no more than was signed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lykeion.core import digest_bytes
from lykeion.device.durable_files import Disk
from lykeion.device.errors import UpdateMissing, UpdateRefused, UpdateUnavailable
from lykeion.device.fetching.download_pace import PATIENCE_S, Pace
from lykeion.device.fetching.file_source import MAX_LATER_S, FileSource, HttpFiles, Later
from lykeion.device.fetching.resumed_download import download

from .file_server import FileServer, answering, dripping, endless
from .offers import Repository

CONTENT = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"a/model file": CONTENT}) as server:
        yield server


@dataclass
class Clock:
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def fetch(source: FileSource, part: Path, pace: Pace | None = None, path: str = "a/model file") -> bytes:
    return download(Disk(), part, source, path, len(CONTENT), digest_bytes(CONTENT), pace or Pace())


def test_a_download_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    files, part = HttpFiles(server.address), tmp_path / "part"
    server.stop_after = 100_000
    with pytest.raises(UpdateUnavailable):
        fetch(files, part)
    begun = part.stat().st_size
    assert 0 < begun <= 100_000
    server.stop_after = None
    assert fetch(files, part) == CONTENT
    assert server.requests == [("/a/model%20file", None), ("/a/model%20file", f"bytes={begun}-")]
    assert fetch(files, part) == CONTENT
    assert len(server.requests) == 2


def test_a_server_without_ranges_and_a_damaged_part_begin_again(server: FileServer, tmp_path: Path) -> None:
    files, part = HttpFiles(server.address), tmp_path / "part"
    part.write_bytes(CONTENT[:1000])
    server.ranges = False
    assert fetch(files, part) == CONTENT
    server.ranges = True
    part.write_bytes(b"x" * 1000)
    assert fetch(files, part) == CONTENT
    part.write_bytes(CONTENT + b"x")
    assert fetch(files, part) == CONTENT


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7), ("", 60), ("Tue, 01 Dec 2026 00:00:00 GMT", 60), ("9" * 9, MAX_LATER_S)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_later_is_honoured(server: FileServer, tmp_path: Path, status: int, after: str, seconds: int) -> None:
    server.behaviour = answering(status, {"Retry-After": after} if after else {})
    with pytest.raises(Later, match=f"come back in {seconds} s") as caught:
        fetch(HttpFiles(server.address), tmp_path / "part")
    assert caught.value.seconds == seconds


def test_endless_data_ends_at_the_size_that_was_signed(server: FileServer, tmp_path: Path) -> None:
    server.behaviour = endless
    with pytest.raises(UpdateRefused, match="longer than the 300,000 bytes"):
        fetch(HttpFiles(server.address), tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_other_content_of_the_size_that_was_signed_is_thrown_away(tmp_path: Path) -> None:
    repository = Repository(served={"a/model file": CONTENT[::-1]})
    with pytest.raises(UpdateRefused, match="not the file that was signed"):
        fetch(repository, tmp_path / "part")
    assert not (tmp_path / "part").exists()
    repository.served["a/model file"] = CONTENT
    assert fetch(repository, tmp_path / "part") == CONTENT


def test_slow_retrieval_is_ended_and_what_came_stays(server: FileServer, tmp_path: Path) -> None:
    server.behaviour = dripping
    clock = Clock()

    def ticking() -> float:
        clock.now += PATIENCE_S / 8
        return clock.now

    with pytest.raises(UpdateUnavailable, match="slower than 1,024 bytes a second"):
        fetch(HttpFiles(server.address), tmp_path / "part", Pace(clock=ticking))
    assert 0 < (tmp_path / "part").stat().st_size < 100


def test_a_bandwidth_is_kept_and_its_pauses_are_not_taken_for_a_slow_server(tmp_path: Path) -> None:
    clock = Clock()
    repository = Repository(served={"a/model file": CONTENT})
    pace = Pace(limit_bytes_s=1_000, least_bytes_s=2_000, clock=clock, sleep=clock.sleep)
    assert fetch(repository, tmp_path / "part", pace) == CONTENT
    assert sum(clock.pauses) == pytest.approx(len(CONTENT) / 1_000)


def test_what_is_not_there_and_a_server_that_is_not_there_are_errors_of_one_line(
    server: FileServer, tmp_path: Path
) -> None:
    with pytest.raises(UpdateMissing, match="404"):
        fetch(HttpFiles(server.address), tmp_path / "part", path="none")
    server.behaviour = answering(500)
    with pytest.raises(UpdateUnavailable, match="answers 500"):
        fetch(HttpFiles(server.address), tmp_path / "part")
    with pytest.raises(UpdateUnavailable) as caught:
        fetch(HttpFiles("http://127.0.0.1:9"), tmp_path / "part")
    assert "\n" not in str(caught.value)


def test_a_server_that_sends_elsewhere_is_not_followed_to_another_place(server: FileServer, tmp_path: Path) -> None:
    server.behaviour = answering(302, {"Location": "http://127.0.0.1:9/"})
    with pytest.raises(UpdateUnavailable, match="answers 302"):
        fetch(HttpFiles(server.address), tmp_path / "part")
