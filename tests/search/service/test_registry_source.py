"""An index of the registry that is served: pulled by digest, only read, and followed where its alias moves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lykeion.core import LykeionError, NotFound
from lykeion.registry import Publication, Pushed, Stores, Untrusted, publish, resolve
from lykeion.search.index import IndexFormatError, open_index
from lykeion.search.service import find_source, followed_catalogue
from lykeion.search.service.registry_source import RegistrySource
from lykeion.search.thumbnails import FILE_NAME, Thumbnails
from tests.mounts import read_only
from tests.oci.distribution.fake import running

from .followed import following, make

NAME = "shop-index:current"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LYKEION_STORE", raising=False)


@pytest.fixture(params=["store", "registry"])
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of an index in the store on this machine, and in a registry."""
    if request.param == "store":
        yield NAME
        return
    with running() as registry:
        yield f"{registry.host}/team/{NAME}"


def push(directory: Path, name: str) -> Pushed:
    return publish(directory, name, Stores(), Publication(whole=True))


def versions(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "home").rglob("recent/*/[0-9a-f]*")]


def test_a_moved_alias_is_followed_and_answers_name_the_digest(tmp_path: Path, name: str) -> None:
    first = push(make(tmp_path / "a.index"), name)
    with following(name) as shop:
        assert shop.search() == (first.digest, {"a.index"})
        second = push(make(tmp_path / "b.index"), name)
        shop.follower.look()
        assert shop.search() == (second.digest, {"b.index"})
        assert shop.health()["index"] == second.digest
        assert shop.client.get("/v1/stats").json()["products"] == 3
        assert (
            shop.client.put("/v1/items", json={"items": [{"id": "9", "vectors": [[1, 0, 0, 0]]}]}).status_code == 501
        )


def test_a_few_versions_stay_in_the_cache_and_the_one_that_is_served_needs_none(tmp_path: Path, name: str) -> None:
    push(make(tmp_path / "0.index"), name)
    with following(name) as shop:
        for number in range(1, 6):
            push(make(tmp_path / f"{number}.index"), name)
            if number < 5:
                RegistrySource(name).fetch(RegistrySource(name).look())  # as another service does
        assert len(versions(tmp_path)) == 3
        assert shop.search()[1] == {"0.index"}, "its directory is gone"
        shop.follower.look()
        assert shop.search()[1] == {"5.index"}
        blobs = [path for path in (tmp_path / "home").rglob("blobs/sha256/*") if path.stat().st_nlink == 1]
        assert not blobs or "/" not in name, "what was linked to a removed version is removed too"


def test_a_version_of_a_registry_is_links_to_the_cache_and_stays_as_it_was_pulled(tmp_path: Path) -> None:
    place = make(tmp_path / "a.index")
    thumbnails = Thumbnails(place / FILE_NAME)
    thumbnails.put_many([("1", "", b"small")])
    thumbnails.close()
    with running() as registry:
        push(place, name := f"{registry.host}/{NAME}")
        with following(name) as shop:
            (version,) = versions(tmp_path)
            files = [path for path in version.rglob("*") if path.is_file()]
            assert {path.stat().st_nlink > 1 for path in files if path.stat().st_size} == {True}
            assert shop.client.get("/v1/thumbnail?id=1").content == b"small"
            assert shop.search()[1] == {"a.index"}
            assert sorted(files) == sorted(path for path in version.rglob("*") if path.is_file())
        with read_only(version), following(name) as shop:
            assert shop.search()[1] == {"a.index"}, "it is verified, and opened again"
            assert shop.client.get("/v1/thumbnail?id=1").content == b"small"


def test_what_is_no_index_is_refused_before_it_is_pulled(tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights")
    push(tmp_path / "model", name)
    with pytest.raises(IndexFormatError, match=r"current is not an index; .*--all-files"), following(name):
        pass
    assert not versions(tmp_path)


def test_a_version_that_cannot_be_served_is_refused_and_the_old_one_stays(tmp_path: Path, name: str) -> None:
    first = push(make(tmp_path / "a.index"), name)
    with following(name) as shop:
        push(make(tmp_path / "b.index", embedder="sha256:" + "1" * 64), name)
        shop.follower.look()
        assert shop.search() == (first.digest, {"a.index"})
        assert "embedder" in shop.health()["problem"]
        for version in versions(tmp_path):
            shutil.rmtree(version)
        shop.follower.look()
        assert "embedder" in shop.health()["problem"]
        assert not versions(tmp_path), "it is not pulled again"
        last = push(make(tmp_path / "c.index"), name)
        shop.follower.look()
        assert shop.search() == (last.digest, {"c.index"})
        assert shop.health()["problem"] is None


def test_while_the_registry_does_not_answer_the_old_one_stays(tmp_path: Path) -> None:
    with running() as registry:
        push(make(tmp_path / "a.index"), name := f"{registry.host}/{NAME}")
        with following(name) as shop:
            registry.troubles.broken_tag = "current"
            shop.follower.look()
            assert shop.search()[1] == {"a.index"}
            assert registry.host in shop.health()["problem"]
            registry.troubles.broken_tag = ""
            shop.follower.look()
            assert shop.health()["problem"] is None


def test_an_index_must_satisfy_the_trust_policy(tmp_path: Path) -> None:
    push(make(tmp_path / "a.index"), NAME)
    policy = tmp_path / "policy.toml"
    policy.write_text('default = "refuse"')
    source = find_source(NAME, trust=policy)
    with pytest.raises(Untrusted):
        source.fetch(source.look())


@pytest.mark.parametrize("given", ["shop-index:absent", "absent:current"])
def test_a_version_that_is_not_there_is_one_line(tmp_path: Path, given: str) -> None:
    push(make(tmp_path / "a.index"), NAME)
    with pytest.raises(NotFound, match="no such model"):
        find_source(given).look()


@pytest.mark.parametrize("given", ["Shop:current", "shop:", "shop@v1", "a:b:c"])
def test_a_name_that_is_neither_a_path_nor_a_reference_is_one_line(given: str) -> None:
    with pytest.raises(LykeionError):
        find_source(given)


def test_a_path_stays_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "shop:old")
    for given in ("shop:old", "./shop:old", str(tmp_path / "shop:old")):
        with followed_catalogue(find_source(given)) as served:
            assert served.id == "shop:old"
    assert find_source("shop.index").look().inode == (0, 0)


def test_an_index_comes_back_from_the_registry_as_it_was_and_can_be_added_to(tmp_path: Path) -> None:
    pushed = push(make(tmp_path / "a.index"), NAME)
    source = RegistrySource(NAME)
    source.fetch(source.look())
    with open_index(source.look().uri) as index:
        assert index.count() == 3
    store, reference = Stores().find(NAME)
    assert resolve(store, reference) == pushed.digest
