"""``lykeion serve`` while clients ask, and its link is flipped, or its alias moved, to another index."""

import json
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from .index_flips import flip, load, make_index
from .platform_machine import until
from .serving import COMMAND, serving

pytestmark = pytest.mark.slow
FLIPS = 10
REQUESTS_BETWEEN = 300


def health(url: str) -> dict:
    return json.loads(urlopen(f"{url}/healthz").read())


def flip_and_wait(url: str, link: Path, target: Path) -> None:
    flip(link, target)
    until(lambda: health(url)["index"] == target.name)


def test_no_request_fails_across_ten_flips_and_each_answer_is_of_one_index(tmp_path: Path) -> None:
    first, second = make_index(tmp_path / "a.index"), make_index(tmp_path / "b.index")
    link = tmp_path / "shop"
    flip(link, first)
    with serving(link, "--follow", "0.1") as (_, url), load(url) as asked:
        for target in [second, first] * (FLIPS // 2):
            asked.await_more(REQUESTS_BETWEEN)
            flip_and_wait(url, link, target)
        asked.await_more(REQUESTS_BETWEEN)
    assert len(asked.answers) > FLIPS * REQUESTS_BETWEEN
    assert not asked.failed
    assert not asked.mixed
    assert {answer[1] for answer in asked.answers} == {"a.index", "b.index"}


def test_an_index_of_another_embedder_is_refused_with_one_line_and_the_old_one_answers_on(tmp_path: Path) -> None:
    make_index(tmp_path / "a.index")
    make_index(tmp_path / "other.index", embedder="sha256:" + "1" * 64)
    link = tmp_path / "shop"
    flip(link, tmp_path / "a.index")
    with serving(link, "--follow", "0.1") as (process, url), load(url, clients=2) as asked:
        flip(link, tmp_path / "other.index")
        until(lambda: health(url)["problem"])
        asked.await_more(100)
        asked.ended.set()
        process.terminate()
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
    assert line.startswith("a.index is still served: ")
    assert "embedder" in line
    assert {answer[:2] for answer in asked.answers if answer[0]} == {(200, "a.index")}


def test_no_request_fails_while_the_alias_of_an_index_in_the_registry_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))

    def push(index: Path) -> str:
        command = [*COMMAND, "models", "push", str(index), "shop-index:current", "--all-files", "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["digest"]

    names = {push(index := make_index(tmp_path / "first.index")): index.name}
    with serving("shop-index:current", "--follow", "0.2") as (_, url), load(url, clients=3) as asked:
        for name in ("second.index", "third.index", "fourth.index"):
            asked.await_more(REQUESTS_BETWEEN)
            digest = push(make_index(tmp_path / name))
            names[digest] = name
            until(lambda digest=digest: health(url)["index"] == digest)
        asked.await_more(REQUESTS_BETWEEN)
    assert not asked.failed
    assert {(digest, of) for _, digest, of in asked.answers} == {(d, frozenset({name})) for d, name in names.items()}
