import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from starlette.testclient import TestClient

from lykeion.search.index import Index
from lykeion.search.service import Catalogue, ServedCatalogue, create_app
from lykeion.web_kit import ServerSettings, read_proxies

from .shop import DIMENSION, photo, service

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
EVERY_ROUTE = ["/v1/stats", "/v1/items?id=red", "/v1/thumbnail?id=red", "/v1/count", "/v1/sample", "/metrics"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"])
def test_this_machine_may_ask_by_any_of_its_own_names(client: TestClient, host: str):
    assert client.get("/v1/stats", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "", "[::1"]
)
def test_a_name_rebound_to_this_machine_is_refused(client: TestClient, host: str):
    for path in ["/", *EVERY_ROUTE]:
        assert client.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "http://localhost.evil.example"]
)
def test_a_page_of_another_origin_is_refused(client: TestClient, origin: str):
    headers = {"Host": "localhost:8080", "Origin": origin}
    assert client.delete("/v1/items?id=red", headers=headers).status_code == 403
    assert client.get("/v1/items?id=red").json()["items"]


def test_the_page_itself_may_ask(client: TestClient):
    headers = {"Host": "localhost:8080", "Origin": "http://localhost:8080"}
    assert client.delete("/v1/items?id=red", headers=headers).json() == {"changed": 1}


@pytest.fixture
def guarded(catalogue: Catalogue) -> Iterator[TestClient]:
    with service(catalogue, ServerSettings(token=TOKEN)) as client:
        yield client


@pytest.mark.parametrize("path", EVERY_ROUTE)
def test_with_a_token_every_route_wants_it(guarded: TestClient, path: str):
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert guarded.get(path, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert guarded.get(path, headers={b"Authorization": b"Bearer \xff"}).status_code == 401
    assert guarded.get(path, headers=BEARER).status_code in (200, 404)


def test_with_a_token_any_host_name_will_do(guarded: TestClient):
    assert guarded.get("/v1/stats", headers={**BEARER, "Host": "search.example"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/search.js", "/search.css", "/healthz", "/readyz", "/openapi.json"])
def test_the_page_and_health_need_no_token(guarded: TestClient, path: str):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["//v1/stats", "/v1/../v1/stats", "/./v1/stats", "/%2e/v1/stats", "/index.html/../v1/stats"]
)
def test_no_spelling_of_a_path_goes_round_the_token(guarded: TestClient, path: str):
    assert guarded.get(path).status_code in (401, 404)


def test_the_page_may_run_its_own_scripts_only(client: TestClient):
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "nosniff" in client.get("/v1/absent").headers["X-Content-Type-Options"]


def test_a_body_that_is_too_large_is_a_413_announced_or_not(catalogue: Catalogue, index: Index):
    with service(catalogue, ServerSettings(max_body_bytes=10_000)) as client:
        announced = client.post("/v1/search/photo", files={"photo": b"x" * 10_001})
        assert announced.status_code == 413
        sent = []

        def chunks() -> Iterator[bytes]:
            for _ in range(100):
                sent.append(1_000)
                yield b"x" * 1_000

        for path in ("/v1/search/photo", "/v1/search/vector"):
            kind = "multipart/form-data; boundary=b" if "photo" in path else "application/json"
            chunked = client.post(path, content=chunks(), headers={"Content-Type": kind})
            assert chunked.status_code == 413, chunked.text
            assert "10,000" in chunked.json()["error"]
        assert client.post("/v1/search/photo", files={"photo": photo("red")}).status_code == 200


class Slow:
    """Holds searches until told to go on."""

    def __init__(self, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.begun, search = threading.Event(), threading.Semaphore(0), index.search

        def held(*args, **named):
            self.begun.release()
            self.go.wait(10)
            return search(*args, **named)

        monkeypatch.setattr(index, "search", held)


def ask(client: TestClient) -> int:
    return client.post("/v1/search/vector", json={"vector": [1.0] * DIMENSION}).status_code


def test_beyond_the_waiting_room_it_is_503_and_to_be_asked_again(
    catalogue: Catalogue, index: Index, monkeypatch: pytest.MonkeyPatch
):
    slow = Slow(index, monkeypatch)
    with service(catalogue, ServerSettings(threads=1, waiting=1)) as client, ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, client) for _ in range(5)]
        finished = as_completed(asked, timeout=10)
        refused = [next(finished).result() for _ in range(3)]
        full = client.get("/v1/count")
        slow.go.set()
        served = [request.result() for request in finished]
        assert refused == [503] * 3
        assert full.status_code == 503
        assert int(full.headers["Retry-After"]) > 0
        assert served == [200] * 2


def test_one_client_with_too_much_under_way_is_429(
    catalogue: Catalogue, index: Index, monkeypatch: pytest.MonkeyPatch
):
    slow = Slow(index, monkeypatch)
    with service(catalogue, ServerSettings(per_client=1)) as client, ThreadPoolExecutor() as pool:
        running = pool.submit(ask, client)
        assert slow.begun.acquire(timeout=10)
        refused = client.get("/healthz")
        assert refused.status_code == 429
        assert "Retry-After" in refused.headers
        slow.go.set()
        assert running.result(10) == 200
        assert client.get("/healthz").status_code == 200


def test_a_request_out_of_time_is_503_and_its_thread_is_free_again(
    catalogue: Catalogue, index: Index, monkeypatch: pytest.MonkeyPatch
):
    slow = Slow(index, monkeypatch)
    with service(catalogue, ServerSettings(threads=1, waiting=0, timeout_s=0.2)) as client:
        assert ask(client) == 503
        assert client.get("/v1/count").status_code == 503, "the thread still works on the first"
        slow.go.set()
        assert any(ask(client) == 200 or time.sleep(0.01) for _ in range(500))


def test_an_error_inside_is_a_500_that_tells_nothing(
    index: Index, client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object):
        raise RuntimeError("secret path /etc/shadow")

    monkeypatch.setattr(index, "count", broken)
    response = client.get("/v1/count")
    assert response.status_code == 500
    assert "secret" not in response.text


def test_behind_a_proxy_pictures_and_the_description_are_below_its_prefix(catalogue: Catalogue, index: Index):
    settings = ServerSettings(proxies=read_proxies(["127.0.0.1"]))
    app = create_app(ServedCatalogue(catalogue), settings)
    catalogue.thumbnails.put_many([("red", "", b"small")])
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        prefixed = {"X-Forwarded-Prefix": "/services/default/shop"}
        for answer in (
            client.get("/v1/sample", headers=prefixed),
            client.post("/v1/search/id", json={"id": "red"}, headers=prefixed),
            client.post("/v1/search/vector", json={"vector": [1.0] * DIMENSION}, headers=prefixed),
            client.post("/v1/search/photo", files={"photo": photo("red")}, headers=prefixed),
        ):
            for result in answer.json()["results"]:
                assert result["thumbnail"].startswith("/services/default/shop/v1/thumbnail?id=")
        assert client.get("/openapi.json", headers=prefixed).json()["servers"] == [{"url": "/services/default/shop"}]
        assert client.get("/search.js", headers=prefixed).status_code == 200
        page = client.get("/", headers=prefixed)
        assert page.headers["content-type"].startswith("text/html")
        assert 'src="/services/default/shop/search.js"' in page.text
        assert 'src="./search.js"' in client.get("/").text
        assert client.get("/v1/sample").json()["results"][0]["thumbnail"].startswith("/v1/thumbnail")
