import re
import shutil
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from lykeion.search.index import Index, open_index
from lykeion.search.service import Catalogue
from lykeion.web_kit import ServerSettings

from .shop import photo, service


def metrics(client: TestClient) -> dict[tuple, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_requests_by_route_and_photos_and_describe_the_index(client: TestClient):
    client.post("/v1/search/photo", files={"photo": photo("red")})
    client.post("/v1/search/photo", files={"photo": b"no photo"})
    found = metrics(client)
    route = ("route", "/v1/search/photo")
    assert found["lykeion_request_seconds_count", ("method", "POST"), route, ("status", "200")] == 1
    assert found["lykeion_request_seconds_count", ("method", "POST"), route, ("status", "400")] == 1
    assert found["lykeion_photos_embedded_total",] == 1
    assert found["lykeion_index_products",] == 6
    assert found["lykeion_index_detail", ("name", "tail_photos")] == 6
    assert found["lykeion_requests_in_flight",] == 1, "the one that asks"


def test_paths_and_methods_that_a_stranger_makes_up_make_no_new_series(client: TestClient):
    for name in range(20):
        client.get(f"/{name}")
        client.request(f"M{name}", "/v1/stats")
    routes = {key for key in metrics(client) if key[0] == "lykeion_request_seconds_count"}
    assert len(routes) <= 4


def test_stats_tell_what_a_page_needs(client: TestClient):
    stats = client.get("/v1/stats").json()
    assert stats["products"] == 6
    assert stats["columns"] == {"price": "integer", "warm": "boolean"}
    assert stats["searches_photos"] is True


def test_every_operation_documents_its_refusals(client: TestClient):
    paths = client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert {"413", "429", "503"} <= operation["responses"].keys(), (method, path)
            for status, answer in operation["responses"].items():
                if re.match("[45]", status):
                    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("ErrorAnswer")


@pytest.mark.parametrize("path", ["/absent", "/v1/absent", "/search.js/../../../settings.py", "/%2e%2e/settings.py"])
def test_an_unknown_path_is_a_404_in_json(client: TestClient, path: str):
    response = client.get(path)
    assert response.status_code == 404
    assert "error" in response.json()


def test_an_index_replaced_by_another_embedders_is_not_ready_and_answers_nothing(client: TestClient, shop_path: Path):
    assert client.get("/readyz").json() == {"status": "ready"}
    shutil.rmtree(shop_path)
    open_index(shop_path, "w", dimension=3, embedder="sha256:other").close()
    time.sleep(0.2)  # the index looks for the writes of others every tenth of a second
    for _ in range(2):
        for response in (
            client.get("/readyz"),
            client.post("/v1/search/photo", files={"photo": photo("red")}),
            client.post("/v1/search/id", json={"id": "red"}),
        ):
            assert response.status_code == 503
            assert "replaced" in response.json()["error"]
            assert "Retry-After" in response.headers
    assert client.get("/healthz").status_code == 200


def test_shutting_down_leaves_the_index_to_whoever_opened_it(catalogue: Catalogue, index: Index):
    with service(catalogue, ServerSettings()) as client:
        assert client.get("/healthz").json()["status"] == "ok"
    assert index.count() == 6
