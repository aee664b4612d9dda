import json

import pytest
from starlette.testclient import TestClient

from lykeion.search.index import Index, IndexLocked
from lykeion.search.service import Catalogue

from .shop import DIMENSION, photo


def put_photos(client: TestClient, items: list[dict], photos: dict[str, bytes]):
    files = [("photos", (name, content)) for name, content in photos.items()]
    return client.put("/v1/items/photos", files=files, data={"items": json.dumps(items)})


def test_a_product_put_by_photos_is_found_by_each_of_them(client: TestClient):
    photos = {"front.jpg": photo("cyan"), "back.jpg": photo("brown")}
    items = [{"id": "shirt", "photos": ["front.jpg", "back.jpg"], "attributes": {"price": 25, "warm": False}}]
    assert put_photos(client, items, photos).json() == {"changed": 1}
    for number, content in enumerate(photos.values()):
        found = client.post("/v1/search/photo", files={"photo": content}, data={"k": 1}).json()["results"][0]
        assert found["id"] == "shirt"
        assert found["photo"] == ("" if number == 0 else "1")
        picture = client.get(found["thumbnail"])
        assert picture.headers["Content-Type"] == "image/jpeg"
        assert picture.content.startswith(b"\xff\xd8")


def test_a_picture_that_the_client_has_already_is_not_sent_again(client: TestClient):
    put_photos(client, [{"id": "shirt", "photos": ["a.jpg"]}], {"a.jpg": photo("white")})
    first = client.get("/v1/thumbnail", params={"id": "shirt"})
    again = client.get("/v1/thumbnail", params={"id": "shirt"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_one_bad_photo_and_nothing_is_written(index: Index, client: TestClient):
    items = [{"id": "good", "photos": ["good.jpg"]}, {"id": "bad", "photos": ["bad.jpg"]}]
    response = put_photos(client, items, {"good.jpg": photo("white"), "bad.jpg": b"\xff\xd8 torn"})
    assert response.status_code == 400
    assert "bad.jpg" in response.json()["error"]
    assert index.get(["good", "bad"]) == [None, None]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ('[{"id": "a", "photos": ["absent.jpg"]}]', "absent.jpg"),
        ('[{"id": "a", "photos": []}]', "photos"),
        ('[{"id": "", "photos": ["a.jpg"]}]', "id"),
        ('[{"id": "a", "photos": ["a.jpg"]}, {"id": "a", "photos": ["a.jpg"]}]', "twice"),
        ("not json", "JSON"),
        ('[], "more": []', "items"),
    ],
)
def test_items_that_do_not_fit_their_photos_are_a_400_that_says_where(client: TestClient, items: str, said: str):
    response = client.put("/v1/items/photos", files={"photos": ("a.jpg", photo("red"))}, data={"items": items})
    assert response.status_code == 400
    assert said in response.json()["error"]


def test_vectors_put_come_back_with_their_attributes(client: TestClient):
    item = {
        "id": "å/ß?#",
        "vectors": [[1.0] * DIMENSION, [2.0] * DIMENSION],
        "attributes": {"brand": "Ω", "tags": ["a"]},
    }
    assert client.put("/v1/items", json={"items": [item]}).json() == {"changed": 1}
    answer = client.get("/v1/items", params={"id": ["å/ß?#", "absent"], "vectors": True}).json()
    assert answer["missing"] == ["absent"]
    assert answer["items"][0]["id"] == "å/ß?#"
    assert answer["items"][0]["photos"] == ["", "1"]
    assert answer["items"][0]["attributes"] == {"brand": "Ω", "tags": ["a"]}
    assert len(answer["items"][0]["vectors"]) == 2


def test_a_patch_changes_what_it_names_and_keeps_the_rest(client: TestClient):
    body = {"items": [{"id": "red", "attributes": {"price": 1}}, {"id": "absent", "attributes": {"price": 2}}]}
    assert client.patch("/v1/items", json=body).json() == {"changed": 1}
    item = client.get("/v1/items", params={"id": "red"}).json()["items"][0]
    assert item["attributes"] == {"price": 1, "warm": True}


def test_a_null_takes_an_attribute_away(client: TestClient):
    client.patch("/v1/items", json={"items": [{"id": "red", "attributes": {"price": None}}]})
    assert client.get("/v1/items", params={"id": "red"}).json()["items"][0]["attributes"] == {"warm": True}


def test_what_is_deleted_is_gone_with_its_picture(client: TestClient, catalogue: Catalogue):
    assert catalogue.thumbnails is not None
    catalogue.thumbnails.put_many([("red", "", b"\xff\xd8 small")])
    assert client.get("/v1/thumbnail", params={"id": "red"}).status_code == 200
    assert client.delete("/v1/items", params={"id": ["red", "absent"]}).json() == {"changed": 1}
    assert client.get("/v1/items", params={"id": "red"}).json()["missing"] == ["red"]
    assert client.get("/v1/thumbnail", params={"id": "red"}).status_code == 404


def test_pictures_of_photos_replaced_by_vectors_are_gone(client: TestClient):
    put_photos(client, [{"id": "shirt", "photos": ["a.jpg"]}], {"a.jpg": photo("white")})
    client.put("/v1/items", json={"items": [{"id": "shirt", "vectors": [[1.0] * DIMENSION]}]})
    assert client.get("/v1/thumbnail", params={"id": "shirt"}).status_code == 404


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"price": "cheap"}, 400),
        ({"price": {"amount": 1}}, 422),
        ({"price": [1, "two"]}, 422),
        ({"note": "\ud800"}, 400),
        ({"\ud800": 1}, 400),
        ({"note": "x" * 100_000}, 400),
        ({"": 1}, 400),
    ],
)
def test_attributes_that_no_column_can_hold_are_refused(client: TestClient, attributes: dict, status: int):
    body = json.dumps({"items": [{"id": "red", "attributes": attributes}]})
    response = client.patch("/v1/items", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert "error" in response.json()


@pytest.mark.parametrize("id", ["", "x" * 513, "é" * 257])
def test_an_id_of_no_bytes_or_too_many_is_a_422(client: TestClient, id: str):
    assert client.get("/v1/items", params={"id": id}).status_code == 422


def test_more_items_than_one_request_takes_are_a_422(client: TestClient):
    assert client.delete("/v1/items", params={"id": [str(n) for n in range(257)]}).status_code == 422


def test_a_write_while_another_process_writes_is_a_503_that_names_it(
    index: Index, client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    def locked(*_: object):
        raise IndexLocked("shop.index is being written by process 4711")

    monkeypatch.setattr(index, "delete", locked)
    response = client.delete("/v1/items", params={"id": "red"})
    assert response.status_code == 503
    assert "4711" in response.json()["error"]
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400", "[1, 1e400]"])
def test_an_attribute_that_no_index_keeps_is_refused_and_not_made_null(client: TestClient, number: str):
    body = '{"items": [{"id": "red", "attributes": {"price": NUMBER}}]}'.replace("NUMBER", number)
    refused = client.patch("/v1/items", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert client.get("/v1/items", params={"id": "red"}).json()["items"][0]["attributes"]["price"] == 10
