"""Requests to an API server: what it refuses is an error of ours, and what it asks for is heeded."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from lykeion.control import Exists, Gone, NoSuchResource, Outdated, ResourceError
from lykeion.core import LykeionError, Refused, Unavailable
from lykeion.platform.kubernetes.api.cluster_client import ATTEMPTS
from lykeion.platform.kubernetes.api.request_rate import RequestRate
from lykeion.platform.kubernetes.api.server_answers import NotServed
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import KubeconfigError, cluster_access

from .fake_api_server import Answer, FakeApiServer, fake_api_server, status

PATH = "/api/v1/namespaces/default/configmaps/a"


def _run(use: Callable[[FakeApiServer], Awaitable[None]]) -> None:
    async def with_server() -> None:
        async with fake_api_server() as server:
            await use(server)

    asyncio.run(asyncio.wait_for(with_server(), 60))


CEL = {
    "causes": [{"field": "spec", "message": 'Invalid value: "object": colours may not change'}],
    "name": "desk",
    "kind": "lamps",
}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (status(404, "NotFound", 'configmaps "a" not found', name="a"), NoSuchResource, "there is no configmap/a"),
        (status(404, "NotFound", "could not find the requested resource"), NotServed, "does not have this kind"),
        (Answer(404, "404 page not found"), NotServed, "does not have this kind"),
        (
            status(404, "NotFound", "namespaces x not found", name="x", kind="namespaces"),
            NoSuchResource,
            "namespaces x",
        ),
        (status(409, "AlreadyExists", "exists"), Exists, "there is a configmap/a already"),
        (status(409, "Conflict", "the object has been modified"), Outdated, "the object has been modified"),
        (status(410, "Expired", "too old"), Gone, "list again"),
        (status(401, "Unauthorized", "Unauthorized"), Refused, "configmap/a: Unauthorized"),
        (status(403, "Forbidden", "exceeded quota: pods=1"), Refused, "exceeded quota"),
        (status(422, "Invalid", "Lamp is invalid: ...", **CEL), ResourceError, "^configmap/a: spec: colours may not"),
        (status(400, "BadRequest", 'strict decoding error: unknown field "spec.x"'), ResourceError, "unknown field"),
        (status(500, "InternalError", "etcdserver: no leader"), Unavailable, "no leader"),
        (Answer(502, "<html>bad gateway</html>"), Unavailable, "the API server answers 502"),
        (Answer(200, "not JSON"), Unavailable, "not JSON"),
        (Answer(None), Unavailable, "127.0.0.1"),
    ],
    ids=lambda value: str(value.code) if isinstance(value, Answer) else "",
)
def test_what_the_server_refuses_is_an_error_of_one_line(
    answer: Answer, error: type[LykeionError], words: str
) -> None:
    async def use(server: FakeApiServer) -> None:
        server.answers.append(answer)
        client = server.client()
        with pytest.raises(error, match=words) as raised:
            await client.get(PATH, "configmap/a")
        assert "\n" not in str(raised.value)
        await client.close()

    _run(use)


@pytest.mark.parametrize("code", [429, 503])
def test_what_is_turned_away_is_sent_again_after_the_time_that_the_server_asks_for(code: int) -> None:
    async def use(server: FakeApiServer) -> None:
        refused = status(code, "TooManyRequests", "later")
        server.answers.extend([Answer(code, refused.body, {"Retry-After": "0"})] * 2)
        client = server.client()
        await client.post("/api/v1/namespaces/default/configmaps", "configmap/a", {"data": {"a": "b"}})
        assert [each.body for each in server.requests] == [{"data": {"a": "b"}}] * 3
        await client.close()

    _run(use)


def test_a_server_that_goes_on_turning_away_is_unavailable() -> None:
    async def use(server: FakeApiServer) -> None:
        refused = status(429, "TooManyRequests", "too many requests, please try again later")
        server.answers.extend([Answer(429, refused.body, {"Retry-After": "0"})] * 20)
        client = server.client()
        with pytest.raises(Unavailable, match="too many requests"):
            await client.get(PATH, "configmap/a")
        assert len(server.requests) == ATTEMPTS
        await client.close()

    _run(use)


def test_nothing_is_written_by_a_process_that_may_not() -> None:
    async def use(server: FakeApiServer) -> None:
        client = server.client(may_write=lambda: False)
        await client.get(PATH, "configmap/a")
        for call in (
            client.post(PATH, "configmap/a", {}),
            client.patch(PATH, "configmap/a", {}, "apply"),
            client.delete(PATH, "configmap/a", {}),
        ):
            with pytest.raises(Refused, match="does not have the Lease"):
                await call
        assert [each.method for each in server.requests] == ["GET"]
        await client.close()

    _run(use)


def test_requests_are_sent_at_the_rate_and_not_before_the_time_that_a_server_asks_for() -> None:
    now = [0.0]
    rate = RequestRate(per_s=10, burst=3, now=lambda: now[0])
    assert [rate.take() for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    now[0] = 0.25
    assert rate.take() == pytest.approx(0.05)
    now[0] = 100.0
    rate.close(7)
    assert rate.take() == pytest.approx(7)
    now[0] = 200.0
    assert [rate.take() for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])


def _kubeconfig(path: Path, context: str, current: str = "", server: str = "https://127.0.0.1:1") -> Path:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [
            {"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "plugin"}}}
        ],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_context_is_found_in_any_file_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = _kubeconfig(tmp_path / "one", "gke"), _kubeconfig(tmp_path / "two", "eks", "eks", "https://eks")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'missing'}:{two}")
    assert cluster_access("gke").cluster.server == "https://127.0.0.1:1"
    assert cluster_access("eks").namespace == "shop"
    assert cluster_access().context_name == "eks"
    user = cluster_access("eks").user
    assert user
    assert user.exec
    assert user.exec.apiVersion == "client.authentication.k8s.io/v1beta1"
    with pytest.raises(KubeconfigError, match="no kubeconfig has the context 'aks'"):
        cluster_access("aks")


def test_a_damaged_kubeconfig_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    for text in ("{", "[]", "clusters: 3", "contexts: []"):
        path.write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(path))
        with pytest.raises(KubeconfigError, match="config: not a kubeconfig"):
            cluster_access("gke")
    path.write_text(yaml.safe_dump({"clusters": [], "contexts": [{"name": "gke", "context": {"cluster": "c"}}]}))
    with pytest.raises(KubeconfigError, match="names 'c', which is not there"):
        cluster_access("gke")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeconfigError, match="there is no kubeconfig"):
        cluster_access()
