import pytest
from starlette.testclient import TestClient

from lykeion.search.index import Index


def test_a_column_is_given_another_type_or_name_or_dropped(index: Index, client: TestClient):
    index.update(["red"], [{"size": "M"}])
    body = {"name": "price", "retype": "string"}
    assert client.patch("/v1/columns", json=body).json()["columns"]["price"] == "string"
    assert client.patch("/v1/columns", json={"name": "price", "rename": "net price"}).status_code == 200
    assert client.get("/v1/count", params={"where": "`net price` = '10'"}).json() == {"count": 1}
    refused = client.patch("/v1/columns", json={"name": "size", "retype": "number"})
    assert (refused.status_code, "'M' is not a number" in refused.json()["error"]) == (400, True)
    cleared = client.patch("/v1/columns", json={"name": "size", "retype": "number", "clear": True})
    assert cleared.json() == {"columns": {"net price": "string", "warm": "boolean", "size": "number"}, "cleared": 1}
    dropped = client.delete("/v1/columns", params={"name": "net price"})
    assert dropped.json() == {"columns": {"warm": "boolean", "size": "number"}, "cleared": 0}
    assert client.delete("/v1/columns", params={"name": "net price"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "price"}, 400),
        ({"name": "price", "retype": "string", "rename": "x"}, 400),
        ({"name": "price", "rename": "x", "clear": True}, 400),
        ({"name": "price", "rename": "_x"}, 400),
        ({"name": "price", "rename": "warm"}, 400),
        ({"name": "price", "retype": "float"}, 422),
        ({"name": "price", "retyp": "string"}, 422),
    ],
)
def test_a_change_that_cannot_be_is_refused(client: TestClient, body: dict, status: int):
    before = client.get("/v1/stats").json()["columns"]
    assert client.patch("/v1/columns", json=body).status_code == status
    assert client.get("/v1/stats").json()["columns"] == before
