"""A link beside its versions: it always leads to a whole one, and follows an alias."""

from pathlib import Path

import pytest

from lykeion.core import SILENT, LykeionError, NotFound
from lykeion.oci.distribution import DiskStore
from lykeion.registry import flip_link, follow_link, move, parse
from lykeion.registry.transfers.followed_link import KEPT

from .making import pushed


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "store")


def _push(store: DiskStore, tmp_path: Path, content: bytes) -> str:
    return pushed(store, tmp_path / f"made-{content.decode()}", "shoes:current", content)


def _flip(store: DiskStore, link: Path) -> str:
    return flip_link(store, parse("shoes:current"), link, reporter=SILENT)


def test_the_link_leads_to_the_version_that_the_alias_names(store: DiskStore, tmp_path: Path) -> None:
    link = tmp_path / "served" / "index"
    link.parent.mkdir()
    first = _push(store, tmp_path, b"one")
    assert _flip(store, link) == first
    assert (link / "model.tflite").read_bytes() == b"one"
    assert _flip(store, link) == ""
    (link / "LOCK").touch()  # by a program that serves it
    second = _push(store, tmp_path, b"two")
    assert _flip(store, link) == second
    assert (link / "model.tflite").read_bytes() == b"two"
    move(store, "shoes", "current", first)
    assert _flip(store, link) == first
    assert (link / "model.tflite").read_bytes() == b"one"
    assert not link.readlink().is_absolute()


def test_the_last_versions_stay_and_older_ones_go(store: DiskStore, tmp_path: Path) -> None:
    link = tmp_path / "served" / "index"
    link.parent.mkdir()
    for number in range(KEPT + 2):
        _push(store, tmp_path, str(number).encode())
        assert _flip(store, link)
    assert (link / "model.tflite").read_bytes() == str(KEPT + 1).encode()
    left = {(each / "model.tflite").read_text() for each in link.parent.glob("index-*")}
    assert left == {str(number) for number in range(2, KEPT + 2)}


def test_what_cannot_be_pulled_now_is_tried_again_and_the_link_stays() -> None:
    said: list[str] = []
    answers: list[str | LykeionError] = ["sha256:a", NotFound("gone for a while"), "", "sha256:b"]

    class End(Exception):
        pass

    def flip() -> str:
        if not answers:
            raise End
        answer = answers.pop(0)
        if isinstance(answer, LykeionError):
            raise answer
        return answer

    with pytest.raises(End):
        follow_link(flip, 5.0, said.append, lambda error: said.append(str(error)), lambda s: said.append(f"{s:g} s"))
    assert said == ["sha256:a", "5 s", "gone for a while", "5 s", "5 s", "sha256:b", "5 s"]
