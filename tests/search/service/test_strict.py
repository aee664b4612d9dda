"""What a request holds beyond what is documented is refused; what clients send oddly is understood."""

import json

import pytest
from starlette.testclient import TestClient

from .shop import photo

RED = photo("red")
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/count?filter=price<10", "query: 'filter' is unknown; known: where"),
        ("/v1/count?wher=price<10", "query: 'wher' is unknown; did you mean 'where'?"),
        ("/v1/count?where=price<10&where=price<20", "query: 'where' comes 2 times; it is one"),
        ("/v1/sample?k=3", "query: 'k' is unknown; known: n, where"),
        ("/v1/items?id=red&vector=true", "query: 'vector' is unknown; did you mean 'vectors'?"),
        ("/v1/thumbnail?id=red&id=green", "query: 'id' comes 2 times; it is one"),
        ("/v1/stats?where=price<10", "query: 'where' is unknown; none is known here"),
    ],
)
def test_a_query_parameter_that_is_not_known_is_refused_with_the_nearest(client: TestClient, path: str, said: str):
    response = client.get(path)
    assert (response.status_code, response.json()) == (422, {"error": said})


@pytest.mark.parametrize(
    ("data", "photos", "said"),
    [
        ({"filter": "price<10"}, 1, "form: 'filter' is unknown; known: photo, box, where, k, offset, vector"),
        ({"offest": "1"}, 1, "form: 'offest' is unknown; did you mean 'offset'?"),
        ({"k": ["1", "2"]}, 1, "form: 'k' comes 2 times; it is one"),
        ({}, 2, "form: 'photo' comes 2 times; it is one"),
    ],
)
def test_a_form_field_that_is_not_known_or_comes_twice_is_refused(
    client: TestClient, data: dict, photos: int, said: str
):
    response = client.post("/v1/search/photo", data=data, files=[("photo", RED)] * photos)
    assert (response.status_code, response.json()) == (422, {"error": said})


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/v1/search/id", {"id": "red", "wher": "price<10"}, "did you mean 'where'?"),
        (
            "PUT",
            "/v1/items",
            {"items": [{"id": "a", "vectors": [[1]], "attribute": {}}]},
            "did you mean 'attributes'?",
        ),
    ],
)
def test_a_name_in_json_that_is_not_known_is_refused_with_the_nearest(
    client: TestClient, method: str, path: str, body: dict, said: str
):
    response = client.request(method, path, json=body)
    assert response.status_code == 422
    assert said in response.json()["error"]


def test_repeated_ids_are_many_ids(client: TestClient):
    assert len(client.get("/v1/items?id=red&id=green").json()["items"]) == 2


def put(client: TestClient, items: str, *dispositions: str):
    """A PUT of photos, with these headers as they are."""
    parts = [("name=items", items.encode()), *((f"name=photos; {text}", RED) for text in dispositions)]
    body = b"".join(b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), c) for h, c in parts)
    return client.put("/v1/items/photos", content=body + b"--b--\r\n", headers=MULTIPART)


def test_items_of_many_megabytes_are_taken(client: TestClient):
    items = json.dumps([{"id": "big", "photos": ["a.jpg"]}])
    assert put(client, items + " " * (3 << 20), "filename=a.jpg").json() == {"changed": 1}


@pytest.mark.parametrize("items", ["not json", '{"id": "a"}', "[]", '[{"id": 1, "photos": ["a"]}]'])
def test_items_that_are_none_name_their_field(client: TestClient, items: str):
    response = put(client, items, "filename=a")
    assert response.status_code == 400
    assert response.json()["error"].startswith("items")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="a%22b.jpg"', 'a"b.jpg'),
        ('filename="a%22b.jpg"', "a%22b.jpg"),
        (r'filename="a\"b.jpg"', 'a"b.jpg'),
        ('filename="caf%C3%A9.jpg"', "café.jpg"),
        ('filename="café.jpg"', "café.jpg"),
        ("filename*=UTF-8''caf%C3%A9.jpg", "café.jpg"),
        ("filename*=utf-8'fr'a%22%5Cb.jpg", 'a"\\b.jpg'),
        ("filename=\"caf_.jpg\"; filename*=UTF-8''caf%C3%A9.jpg", "café.jpg"),
    ],
)
def test_a_photo_is_known_by_its_name_however_the_client_quotes_it(client: TestClient, disposition: str, name: str):
    response = put(client, json.dumps([{"id": "a", "photos": [name]}]), disposition)
    assert (response.status_code, response.json()) == (200, {"changed": 1})


def test_two_photos_of_one_name_are_refused(client: TestClient):
    response = put(client, json.dumps([{"id": "a", "photos": ["a.jpg"]}]), "filename=a.jpg", "filename=a.jpg")
    assert (response.status_code, response.json()) == (400, {"error": "two photos have the file name 'a.jpg'"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"k": "2", "where": "price < 100", "vector": "true"},
        {"k": "none"},
        {"k": "0"},
        {"box": "1,2"},
        {"box": "x" * 65},
        {"where": "price <"},
        {"offset": "1", "box": "0,0,20,20"},
    ],
)
def test_a_form_is_answered_the_same_however_it_is_written(client: TestClient, fields: dict[str, str]):
    """A plain form is read in another way than one with its headers in another order."""

    def body(head: bytes) -> bytes:
        parts = [(b'name="%s"' % name.encode(), text.encode()) for name, text in fields.items()]
        written = [b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % part for part in parts]
        return b"".join(written) + b"--b\r\n" + head + b"\r\n\r\n" + RED + b"\r\n--b--\r\n"

    disposition, kind = b'Content-Disposition: form-data; name="photo"; filename="a.png"', b"Content-Type: image/png"
    answers = [
        client.post("/v1/search/photo", content=body(b"\r\n".join(heads)), headers=MULTIPART)
        for heads in ((disposition, kind), (kind, disposition))
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].json() == answers[1].json()
