"""A tiny app behind the guard, asked in memory; ``test_listening`` asks it over sockets."""

import asyncio

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from lykeion.web_kit import Guard, ServerSettings, read_proxies
from lykeion.web_kit.guard import NOTHING

from .tiny import BEARER, TOKEN, Tiny

OPEN = ServerSettings()
CLOSED = ServerSettings(token=TOKEN)
BRIEF = ServerSettings(timeout_s=0.05)


def asking(settings: ServerSettings, **options: object) -> TestClient:
    return TestClient(Tiny(settings, **options).app, base_url="http://localhost", raise_server_exceptions=False)


def test_a_websocket_of_this_machine_is_let_through():
    with asking(OPEN).websocket_connect("ws://localhost/echo", headers={"Origin": "http://localhost"}) as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        (OPEN, {"Host": "evil.example"}, 403),
        (OPEN, {"Origin": "https://evil.example"}, 403),
        (OPEN, {"Origin": "null"}, 403),
        (CLOSED, {}, 401),
        (CLOSED, {"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_a_websocket_is_checked_like_a_request_and_never_opened(
    settings: ServerSettings, headers: dict[str, str], status: int
):
    with (
        pytest.raises(WebSocketDenialResponse) as denial,
        asking(settings).websocket_connect("ws://localhost/echo", headers=headers),
    ):
        pass
    assert denial.value.status_code == status
    assert "error" in denial.value.json()
    assert denial.value.headers["X-Content-Type-Options"] == "nosniff"


def test_with_the_token_a_websocket_opens_under_any_host_name():
    with asking(CLOSED).websocket_connect("ws://search.example/echo", headers=BEARER) as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"


def test_where_a_server_can_refuse_no_websocket_with_an_answer_it_is_closed_with_1008():
    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/echo", "headers": [(b"host", b"evil.example")]}
    asyncio.run(Tiny(OPEN).app(scope, None, send))
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


def test_a_websocket_counts_as_a_request_of_its_client_while_it_is_open():
    client = asking(ServerSettings(per_client=1))
    with client.websocket_connect("ws://localhost/echo"):
        assert client.get("/").status_code == 429
        with pytest.raises(WebSocketDenialResponse) as denial, client.websocket_connect("ws://localhost/echo"):
            pass
        assert denial.value.status_code == 429
    assert client.get("/").status_code == 200


def test_clients_of_a_proxy_are_counted_each_and_its_own_requests_are_not():
    settings = ServerSettings(per_client=1, proxies=read_proxies(["127.0.0.1"]))
    client = TestClient(Tiny(settings).app, base_url="http://localhost", client=("127.0.0.1", 1))

    def status(address: str) -> int:
        return client.get("/", headers={"X-Forwarded-For": address}).status_code

    with client.websocket_connect("ws://localhost/echo", headers={"X-Forwarded-For": "203.0.113.7"}):
        assert status("203.0.113.7") == 429
        assert status("203.0.113.8") == 200
        assert client.get("/").status_code == 200
    with client.websocket_connect("ws://localhost/echo"), client.websocket_connect("ws://localhost/echo"):
        assert status("127.0.0.1") == 200


def test_a_request_and_a_websocket_that_are_not_answered_are_a_503():
    client = asking(BRIEF)
    for path in ("/hang", "/hang-streaming"):
        response = client.get(path)
        assert response.status_code == 503
        assert "no response within 0.05 s" in response.json()["error"]
    with pytest.raises(WebSocketDenialResponse) as denial, client.websocket_connect("ws://localhost/hang"):
        pass
    assert denial.value.status_code == 503


def test_a_stream_outlives_the_timeout_once_it_has_started():
    assert asking(BRIEF).get("/stream").text == "first last"


def test_an_answer_that_is_no_stream_must_end_in_time(caplog: pytest.LogCaptureFixture):
    async def unfinished(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    TestClient(Guard(unfinished, BRIEF), base_url="http://localhost").get("/")
    assert "not finished in time" in caplog.text


def test_an_apps_own_timeout_is_not_taken_for_the_guards():
    async def broken(scope, receive, send) -> None:
        raise TimeoutError("of a database")

    with pytest.raises(TimeoutError, match="database"):
        TestClient(Guard(broken, OPEN), base_url="http://localhost").get("/")


def test_pages_load_what_the_app_says_and_nothing_where_it_says_nothing():
    assert asking(OPEN).get("/").headers["Content-Security-Policy"] == NOTHING
    ours = asking(OPEN, page_policy="default-src 'self'")
    assert ours.get("/").headers["Content-Security-Policy"] == "default-src 'self'"
    refused = ours.get("/", headers={"Host": "evil.example"})
    assert refused.headers["Content-Security-Policy"] == "default-src 'self'"


def test_a_body_is_counted_whether_or_not_its_length_was_said():
    client = asking(ServerSettings(max_body_bytes=10))
    assert client.post("/size", content=b"x" * 10).text == "10"
    assert client.post("/size", content=b"x" * 11).status_code == 413
    assert client.post("/size", content=iter([b"x" * 5] * 3)).status_code == 413
    assert client.post("/size", content=iter([b"x" * 5] * 2)).text == "10"
    assert client.post("/size", content=b"hello", headers={"Content-Length": "+5"}).status_code == 400
