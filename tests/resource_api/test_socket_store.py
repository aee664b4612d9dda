"""The store behind a socket: the promises of every store, asked through the API."""

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from lykeion.control import API_VERSION, ResourceStore, SqliteStore
from lykeion.resource_api import (
    LIMIT_BODY_BYTES,
    ServerUnreachable,
    SocketError,
    SocketStore,
    resource_api,
    serving,
    socket_of,
)
from tests.control.lamps import KINDS, lamp
from tests.control.store_behaviour import PROMISES

ABSENT = "no server runs; start one"
LAMPS = f"/apis/{API_VERSION}/namespaces/default/lamps"


def _with_api(path: Path, use: Callable[[SocketStore], Awaitable[None]]) -> None:
    async def main() -> None:
        store = SqliteStore(path / "state.db", KINDS)
        api = resource_api(store, KINDS, lambda: None)
        async with serving(api, path / "api.sock"), SocketStore(path / "api.sock", KINDS, ABSENT) as client:
            await asyncio.wait_for(use(client), 60)
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_store_keeps_its_promises(promise: Callable[[ResourceStore], Awaitable[None]], tmp_path: Path) -> None:
    _with_api(tmp_path, promise)


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "message"),
    [
        ("GET", f"/apis/{API_VERSION}/namespaces/default/chairs", None, 404, "there is no kind 'chairs'; there are"),
        ("GET", f"{LAMPS}/desk", None, 404, "there is no lamp/desk"),
        ("POST", LAMPS, b"{", 422, "not JSON"),
        ("POST", LAMPS, b"[]", 422, "not a JSON object"),
        ("POST", LAMPS, b"[" * 100_000, 422, "not JSON"),
        ("POST", LAMPS, b" " * (LIMIT_BODY_BYTES + 1), 422, "larger than 1 MiB"),
        ("POST", LAMPS.replace("default", "other"), lamp(), 422, "names another kind or namespace"),
        ("PUT", f"{LAMPS}/other", lamp(), 422, "the path names other, the body desk"),
        ("GET", f"{LAMPS}?watch=1&resourceVersion=x", None, 422, "resourceVersion must be that of a list"),
        ("POST", f"{LAMPS}/desk/events", b"{}", 404, "there is no lamp/desk"),
    ],
)
def test_what_cannot_be_done_is_answered_as_kubernetes_does(
    tmp_path: Path, method: str, path: str, body: Any, code: int, message: str
) -> None:
    async def use(_: SocketStore) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "api.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            json = body.document() if hasattr(body, "document") else None
            answer = await client.request(method, path, content=body if json is None else None, json=json)
        status = answer.json()
        assert (answer.status_code, status["code"], status["kind"], status["status"]) == (
            code,
            code,
            "Status",
            "Failure",
        )
        assert message in status["message"]
        assert "\n" not in status["message"]

    _with_api(tmp_path, use)


def test_only_the_user_may_use_the_socket(tmp_path: Path) -> None:
    async def use(_: SocketStore) -> None:
        assert stat.S_IMODE((tmp_path / "api.sock").stat().st_mode) == 0o600

    _with_api(tmp_path, use)
    assert not (tmp_path / "api.sock").exists()


def test_without_a_server_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    async def ask() -> None:
        async with SocketStore(tmp_path / "api.sock", KINDS, ABSENT) as client:
            await client.get(lamp().key)

    with pytest.raises(ServerUnreachable, match=ABSENT):
        asyncio.run(ask())


def test_a_path_too_long_for_a_socket_is_replaced_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert socket_of(deep).parent == Path("/run/user/1000")
    assert socket_of(deep) != socket_of(deep / "x")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(SocketError, match="too long for a socket: set LYKEION_HOME"):
        socket_of(deep)
