import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from lykeion.search.index import Index
from lykeion.search.service import Catalogue
from lykeion.web_kit import ServerSettings

from .shop import COLOURS, DIMENSION, jpeg, photo, service


def ids(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [result["id"] for result in response.json()["results"]]


def by_photo(client: TestClient, colour: str, **fields):
    return client.post("/v1/search/photo", files={"photo": ("mine.jpg", photo(colour))}, data=fields)


def test_a_photo_finds_its_like_first_with_score_attributes_and_picture(client: TestClient):
    response = by_photo(client, "red", k=2)
    first = response.json()["results"][0]
    assert ids(response)[0] == "red"
    assert first["score"] == pytest.approx(1, abs=1e-3)
    assert first["attributes"] == {"price": 10, "warm": True}
    assert first["thumbnail"] == "/v1/thumbnail?id=red&photo="


def test_a_box_searches_by_that_part_of_the_photo(client: TestClient):
    picture = Image.new("RGB", (200, 100), "blue")
    picture.paste("yellow", (100, 0, 200, 100))
    files = {"photo": ("both.jpg", jpeg(picture))}
    assert ids(client.post("/v1/search/photo", files=files, data={"box": "120,10,190,90"}))[0] == "yellow"
    assert ids(client.post("/v1/search/photo", files=files, data={"box": "10,10,90,90"}))[0] == "blue"


def test_a_filter_leaves_only_what_matches(client: TestClient):
    assert set(ids(by_photo(client, "red", where="not warm"))) == {"green", "blue", "purple"}


def test_pages_together_are_the_whole_answer(client: TestClient):
    whole = ids(by_photo(client, "red", k=6))
    paged, offset = [], 0
    while offset is not None:
        answer = by_photo(client, "red", k=4, offset=offset)
        paged += ids(answer)
        offset = answer.json()["next_offset"]
    assert paged == whole
    assert sorted(paged) == sorted(COLOURS)


def test_a_photos_vector_finds_the_same_without_the_photo(client: TestClient):
    with_vector = by_photo(client, "green", vector=True)
    vector = with_vector.json()["vector"]
    assert len(vector) == DIMENSION
    assert ids(client.post("/v1/search/vector", json={"vector": vector})) == ids(with_vector)
    embedder = client.get("/v1/stats").json()["embedder"]
    assert ids(client.post("/v1/search/vector", json={"vector": vector, "embedder": embedder})) == ids(with_vector)
    other = client.post("/v1/search/vector", json={"vector": vector, "embedder": "sha256:" + "0" * 64})
    assert other.status_code == 409
    assert "embedder" in other.json()["error"]
    assert "vector" not in by_photo(client, "green").json()


def test_a_product_finds_others_not_itself(client: TestClient):
    found = ids(client.post("/v1/search/id", json={"id": "red", "k": 10}))
    assert sorted(found) == sorted(set(COLOURS) - {"red"})


def test_an_unknown_product_is_a_404_that_names_it(client: TestClient):
    response = client.post("/v1/search/id", json={"id": "mauve"})
    assert response.status_code == 404
    assert "mauve" in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"vector": [1.0, 2.0]}, 400, "2 numbers"),
        ({"vector": [1e39] * DIMENSION}, 422, "vector"),
        ({"vector": ["x"] * DIMENSION}, 422, "vector"),
        ({"vector": [1.0] * DIMENSION, "k": 0}, 422, "k"),
        ({"vector": [1.0] * DIMENSION, "k": 100_000}, 422, "k"),
        ({"vector": [1.0] * DIMENSION, "offset": -1}, 422, "offset"),
        ({"vector": [1.0] * DIMENSION, "where": "prise < 4"}, 400, "price"),
        ({"vector": [1.0] * DIMENSION, "limit": 4}, 422, "limit"),
        ({}, 422, "vector"),
    ],
)
def test_a_wrong_question_is_refused_in_one_line_that_names_what(
    client: TestClient, body: dict, status: int, said: str
):
    response = client.post("/v1/search/vector", json=body)
    assert response.status_code == status
    assert said in response.json()["error"]
    assert "\n" not in response.json()["error"]


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_numbers_that_are_none_are_refused(client: TestClient, number: str):
    body = '{"vector": [' + ",".join([number] * DIMENSION) + "]}"
    response = client.post("/v1/search/vector", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422


def test_a_file_that_is_no_photo_is_a_400_that_names_it(client: TestClient):
    response = client.post("/v1/search/photo", files={"photo": ("notes.txt", b"not a photo")})
    assert response.status_code == 400
    assert response.json()["error"].startswith("notes.txt")


def test_a_box_of_three_numbers_is_a_400(client: TestClient):
    assert by_photo(client, "red", box="1,2,3").status_code == 400


def test_a_filter_is_counted(client: TestClient):
    assert client.get("/v1/count", params={"where": "price >= 30"}).json() == {"count": 4}
    assert client.get("/v1/count").json() == {"count": 6}


def test_an_index_of_vectors_from_elsewhere_says_that_no_photo_can_search_it(catalogue, client: TestClient):
    catalogue.embedder = None
    response = by_photo(client, "red")
    assert response.status_code == 501
    assert "vector" in response.json()["error"]
    assert client.get("/v1/stats").json()["searches_photos"] is False


def test_a_sample_shows_products_with_their_thumbnails(client: TestClient):
    answer = client.get("/v1/sample", params={"n": 4}).json()
    assert len(answer["results"]) == 4
    assert answer["by"] is None, "no attribute tells categories"
    for shown in answer["results"]:
        assert shown["attributes"]["price"] == 10 * (COLOURS.index(shown["id"]) + 1)
        assert shown["thumbnail"].startswith("/v1/thumbnail?id=" + shown["id"])
    assert client.get("/v1/sample", params={"n": 4}).json() == answer


def test_a_sample_takes_from_each_category_in_turn_and_keeps_a_category_together(client: TestClient, index: Index):
    kinds = ["bag"] * 80 + ["hat"] * 15 + ["shoe"] * 5
    vectors = np.ones((100, DIMENSION), np.float32)
    index.upsert(
        [f"{n}" for n in range(100)], vectors, [{"kind": kind, "name": f"{n}"} for n, kind in enumerate(kinds)]
    )
    answer = client.get("/v1/sample", params={"n": 19, "where": "kind is not null"}).json()
    assert answer["by"] == "kind"
    assert [shown["attributes"]["kind"] for shown in answer["results"]] == ["bag"] * 7 + ["hat"] * 7 + ["shoe"] * 5


@pytest.mark.parametrize(
    ("query", "status"), [({"n": 0}, 422), ({"n": 61}, 422), ({"n": "many"}, 422), ({"where": "prise < 4"}, 400)]
)
def test_a_sample_that_cannot_be_is_refused(client: TestClient, query: dict, status: int):
    assert client.get("/v1/sample", params=query).status_code == status


def test_a_sample_without_thumbnails_or_products_is_answered_too(index: Index):
    with service(Catalogue(index, None, None), ServerSettings()) as client:
        assert {shown["thumbnail"] for shown in client.get("/v1/sample").json()["results"]} == {None}
        index.delete(COLOURS)
        assert client.get("/v1/sample").json() == {"index": "", "results": [], "by": None}
