"""An index that another replaces while it is served: by a link that is flipped, or a directory that is renamed."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lykeion.search.index import open_index
from lykeion.search.service import ServedCatalogue, create_app
from lykeion.search.service.catalogue import Catalogue, Page, open_catalogue
from lykeion.search.service.index_sources import IndexEdition
from lykeion.search.thumbnails import FILE_NAME, Thumbnails
from lykeion.web_kit import ServerSettings

from .followed import BODY, flip, following, make
from .test_operation import metrics


@pytest.fixture
def link(tmp_path: Path) -> Path:
    make(tmp_path / "a.index")
    make(tmp_path / "b.index")
    flip(tmp_path / "shop", tmp_path / "a.index")
    return tmp_path / "shop"


def test_a_flipped_link_is_followed_and_every_answer_says_its_index(link: Path) -> None:
    with following(link) as shop:
        assert shop.search() == ("a.index", {"a.index"})
        flip(link, link.parent / "b.index")
        assert shop.search() == ("a.index", {"a.index"}), "an open index does not change by a flip"
        shop.follower.look()
        assert shop.search() == ("b.index", {"b.index"})
        assert shop.swapped == ["b.index"]
        assert shop.health()["index"] == shop.client.get("/v1/stats").json()["index"] == "b.index"
        found = metrics(shop.client)
        assert found["lykeion_index_info", ("index", "b.index")] == 1
        assert found["lykeion_index_swaps_total",] == 1
        assert found["lykeion_index_refused",] == 0


def test_a_look_at_a_link_that_has_not_moved_opens_nothing(link: Path) -> None:
    with following(link) as shop:
        before = shop.served.since
        shop.follower.look()
        assert (shop.served.since, shop.served.swaps) == (before, 0)


def test_a_link_above_the_index_is_followed_too(tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        make(tmp_path / release / "shop.index")
    flip(tmp_path / "current", tmp_path / "1")
    with following(tmp_path / "current" / "shop.index") as shop:
        flip(tmp_path / "current", tmp_path / "2")
        shop.follower.look()
        assert shop.served.swaps == 1


def test_a_directory_that_another_is_renamed_to_is_followed_with_its_thumbnails(tmp_path: Path) -> None:
    path, new = make(tmp_path / "shop.index"), make(tmp_path / "new.index")
    for place, jpeg in ((path, b"old"), (new, b"new")):
        thumbnails = Thumbnails(place / FILE_NAME)
        thumbnails.put_many([("1", "", jpeg)])
        thumbnails.close()
    with following(path) as shop:
        assert shop.client.get("/v1/thumbnail?id=1").content == b"old"
        path.rename(tmp_path / "old.index")
        new.rename(path)
        shop.follower.look()
        assert shop.search() == ("shop.index", {"new.index"})
        assert shop.client.get("/v1/thumbnail?id=1").content == b"new"


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "embedder": (lambda path: make(path, embedder="sha256:" + "1" * 64), "embedder"),
    "dimension": (lambda path: make(path, dimension=8), "dimension"),
    "not an index": (lambda path: path.mkdir(), "is not an index"),
    "nothing": (lambda path: None, "is not an index"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_an_index_that_does_not_fit_is_refused_and_the_old_one_stays(
    link: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    prepare, reason = OTHERS[other]
    prepare(link.parent / "c.index")
    with following(link) as shop:
        flip(link, link.parent / "c.index")
        shop.follower.look()
        shop.follower.look()
        assert shop.search() == ("a.index", {"a.index"})
        assert shop.client.get("/readyz").status_code == 200
        assert reason in shop.health()["problem"]
        assert metrics(shop.client)["lykeion_index_refused",] == 1
        assert [line for line in caplog.messages if "a.index is still served" in line and reason in line]
        assert len(caplog.messages) == 1, "the same reason is logged once"
        flip(link, link.parent / "b.index")
        shop.follower.look()
        assert shop.search() == ("b.index", {"b.index"})
        assert shop.health()["problem"] is None
        assert metrics(shop.client)["lykeion_index_refused",] == 0


def test_the_old_index_is_closed_when_the_last_call_on_it_has_ended(link: Path) -> None:
    with following(link) as shop:
        flip(link, link.parent / "b.index")
        swap = threading.Thread(target=shop.follower.look)
        with shop.served.lease() as old:
            swap.start()
            while shop.served.id == "a.index":
                swap.join(0.01)
            assert swap.is_alive(), "it waits for the call"
            assert shop.search() == ("b.index", {"b.index"}), "others are answered meanwhile"
            assert old.index.delete(["1"]) == 1, "the old one is open still"
        swap.join()
        with pytest.raises(Exception, match="was closed"):
            old.index.delete(["2"])


def test_what_is_written_to_a_linked_index_by_others_is_seen_as_ever(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.search.index.local.replica._FOLLOW_S", 0.0)
    with following(link) as shop, open_index(link, "shared") as writer:
        writer.delete(["1", "2"])
        assert shop.client.get("/v1/count").json() == {"count": 1}
        assert shop.client.put("/v1/items", json={"items": [{"id": "9", "vectors": [[1, 0, 0, 0]]}]}).json() == {
            "changed": 1
        }
        assert writer.count() == 2


def test_a_link_that_leads_in_a_circle_is_refused_and_followed_when_it_is_right_again(link: Path) -> None:
    with following(link) as shop:
        flip(link, link)
        shop.follower.look()
        assert shop.health()["problem"]
        flip(link, link.parent / "b.index")
        shop.follower.look()
        assert shop.search() == ("b.index", {"b.index"})


def test_a_damaged_index_is_refused_and_the_next_one_followed(link: Path) -> None:
    for number, (file, data) in enumerate([("index.json", b"{"), ("CURRENT", b"\xff"), ("index.json", b'{"a": 1}')]):
        damaged = make(link.parent / f"damaged-{number}.index")
        (damaged / file).write_bytes(data)
        with following(link) as shop:
            flip(link, damaged)
            shop.follower.look()
            assert shop.health()["problem"]
            assert shop.search() == ("a.index", {"a.index"})
            flip(link, link.parent / "b.index")
            shop.follower.look()
            assert shop.search() == ("b.index", {"b.index"})
        flip(link, link.parent / "a.index")


class TestReadOnly:
    """An index that nothing changes, such as one of the registry, in a directory that may not be written."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = make(tmp_path / "a.index")
        thumbnails = Thumbnails(place / FILE_NAME)
        thumbnails.put_many([("1", "", b"small")])
        thumbnails.close()
        return place

    @pytest.fixture
    def catalogue(self, place: Path) -> Iterator[Catalogue]:
        catalogue = open_catalogue(IndexEdition("a", str(place), read_only=True), lambda index: None)
        yield catalogue
        catalogue.close()

    def test_it_is_searched_without_a_file_being_made(self, place: Path, catalogue: Catalogue) -> None:
        def content() -> dict[Path, int]:
            return {path: path.stat().st_mtime_ns for path in place.rglob("*")}

        before = content()
        with TestClient(
            create_app(ServedCatalogue(catalogue), ServerSettings()), base_url="http://localhost"
        ) as client:
            assert len(client.post("/v1/search/vector", json=BODY).json()["results"]) == 3
            assert client.get("/v1/thumbnail?id=1").content == b"small"
            assert client.get("/v1/stats").status_code == client.get("/readyz").status_code == 200
            assert content() == before

    def test_writes_are_a_501_that_says_why(self, place: Path, catalogue: Catalogue) -> None:
        before = {path.name for path in place.iterdir()}
        with TestClient(
            create_app(ServedCatalogue(catalogue), ServerSettings()), base_url="http://localhost"
        ) as client:
            for response in (
                client.put("/v1/items", json={"items": [{"id": "9", "vectors": [[1, 0, 0, 0]]}]}),
                client.delete("/v1/items?id=1"),
                client.patch("/v1/items", json={"items": [{"id": "1", "attributes": {"of": "x"}}]}),
                client.delete("/v1/columns?name=of"),
            ):
                assert response.status_code == 501
                assert "for reading only" in response.json()["error"]
            assert {path.name for path in place.iterdir()} == before

    def test_it_is_searched_on_when_its_directory_is_removed(
        self, place: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lykeion.search.index.local.replica._FOLLOW_S", 0.0)
        shutil.rmtree(place)
        assert catalogue.search_id("1", Page())["results"]
