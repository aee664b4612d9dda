"""An index that is moved away, or that cannot be written, while it is served: a read-only mount, a full disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lykeion.search.index import Index
from lykeion.search.thumbnails import ThumbnailError, Thumbnails
from tests import mounts

from .shop import DIMENSION, photo

VECTOR = [1.0] * DIMENSION
READS = {
    "search": ("POST", "/v1/search/vector", {"json": {"vector": VECTOR}}),
    "photo": ("POST", "/v1/search/photo", {"files": {"photo": photo("red")}}),
    "id": ("POST", "/v1/search/id", {"json": {"id": "red"}}),
    "count": ("GET", "/v1/count?where=price>1", {}),
    "sample": ("GET", "/v1/sample", {}),
    "get": ("GET", "/v1/items?id=red", {}),
    "stats": ("GET", "/v1/stats", {}),
    "ready": ("GET", "/readyz", {}),
    "metrics": ("GET", "/metrics", {}),
}
WRITES = {
    "put": ("PUT", "/v1/items", {"json": {"items": [{"id": "a", "vectors": [VECTOR]}]}}),
    "photos": (
        "PUT",
        "/v1/items/photos",
        {"files": {"photos": ("a", photo("red"))}, "data": {"items": '[{"id": "a", "photos": ["a"]}]'}},
    ),
    "patch": ("PATCH", "/v1/items", {"json": {"items": [{"id": "red", "attributes": {"price": 1}}]}}),
    "delete": ("DELETE", "/v1/items?id=red", {}),
}


@pytest.fixture(autouse=True)
def followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.search.index.local.replica._FOLLOW_S", 0.0)


@pytest.fixture
def read_only(index: Index, shop_path: Path) -> Iterator[None]:
    """The index on a read-only mount or, for who may not mount, in files without write permission."""
    if os.geteuid():
        paths = [shop_path, *shop_path.rglob("*")]
        for path in paths:
            path.chmod(path.stat().st_mode & ~0o222)
        yield
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)
        return
    with mounts.read_only(shop_path):
        yield


@pytest.mark.parametrize(("method", "path", "given"), [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_an_index_that_was_moved_away_is_a_503_that_names_it_until_it_is_back(
    client: TestClient, shop_path: Path, method: str, path: str, given: dict
):
    away = shop_path.rename(shop_path.with_name("away"))
    response = client.request(method, path, **given)
    assert response.status_code == 503
    assert str(shop_path) in response.json()["error"]
    assert response.headers["Retry-After"]
    assert not shop_path.exists()
    assert client.get("/healthz").status_code == 200
    away.rename(shop_path)
    assert client.request(method, path, **given).status_code == 200


def test_an_index_on_a_read_only_mount_is_searched_and_refuses_writes_with_the_reason(
    client: TestClient, shop_path: Path, read_only: None
):
    for method, path, given in READS.values():
        assert client.request(method, path, **given).status_code == 200
    for method, path, given in WRITES.values():
        response = client.request(method, path, **given)
        assert response.status_code == 503
        assert f"{shop_path}/LOCK: cannot be locked" in response.json()["error"]


def test_thumbnails_that_cannot_be_kept_are_an_error_with_the_reason(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ThumbnailError, match="file"):
        Thumbnails(tmp_path / "file" / "thumbnails.sqlite").put_many([("a", "", b"")])


class TestFullDisk:
    @pytest.fixture
    def shop_path(self, tmp_path: Path) -> Iterator[Path]:
        with mounts.small_disk(tmp_path / "disk") as disk:
            yield disk / "shop.index"

    def test_a_full_disk_is_a_503_with_the_reason_until_there_is_room(self, client: TestClient, shop_path: Path):
        mounts.fill(shop_path.parent)
        many = {"items": [{"id": f"n{n}", "vectors": [VECTOR]} for n in range(50)]}
        answers = [client.put("/v1/items", json=many) for _ in range(3)]  # the first may find room in a begun block
        answers += [client.request(method, path, **given) for method, path, given in WRITES.values()]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        for answer in refused:
            assert answer.status_code == 503
            assert "No space left on device" in answer.json()["error"]
            assert str(shop_path) in answer.json()["error"]
            assert answer.headers["Retry-After"]
        for method, path, given in READS.values():
            assert client.request(method, path, **given).status_code in (200, 404)
        (shop_path.parent / "filling").unlink()
        assert client.put("/v1/items", json=many).status_code == 200
