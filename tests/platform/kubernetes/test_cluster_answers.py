"""What controllers look up in a cluster: counts of pods over real sockets, Git, and what is not there."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lykeion.core import Unavailable, Unsupported
from lykeion.platform.kubernetes.objects.object_types import KubeObject
from lykeion.platform.kubernetes.operator import cluster_answers as answers
from lykeion.platform.kubernetes.operator.cluster_answers import cluster_answers, replica_addresses
from lykeion.platform.lookups import GroupCores, ReplicaCounts, RouteCounts, SourceDigest

ASKED = ReplicaCounts("shop", "shop-1", "/metrics", ("answers_total", ()), ("answers_total", (("ok", "no"),)))


def _pod(
    uid: str, ip: str = "127.0.0.1", *, ready: bool = True, restarts: int = 0, ending: bool = False
) -> KubeObject:
    metadata = {"uid": uid, **({"deletionTimestamp": "2026-11-01T12:00:00Z"} if ending else {})}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    containers = [{"name": "sidecar", "restartCount": 9}, {"name": "program", "restartCount": restarts}]
    return {"metadata": metadata, "status": {"podIP": ip, "conditions": conditions, "containerStatuses": containers}}


def _ask(pods: list[KubeObject], asked: Any) -> Any:
    seen: list[tuple[str, Mapping[str, str]]] = []

    async def found(namespace: str, labels: Mapping[str, str]) -> list[KubeObject]:
        seen.append((namespace, labels))
        return pods

    answer = asyncio.run(cluster_answers(found, lambda: "")[type(asked)](asked))  # type: ignore[arg-type]
    if isinstance(asked, ReplicaCounts):
        labels = {"lykeion.github.io/kind": "ReplicaGroup", "lykeion.github.io/name": "shop-1"}
        assert seen == [("shop", labels)]
    return answer


def test_pods_that_get_requests_are_asked_and_a_restart_is_seen() -> None:
    pods = [_pod("a"), _pod("b", ready=False), _pod("c", ending=True), _pod("d", "fd00::7", restarts=2)]
    assert replica_addresses(pods) == [("a 0", "127.0.0.1:8080"), ("d 2", "[fd00::7]:8080")]


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(b'answers_total{ok="yes"} 90\nanswers_total{ok="no"} 10\n')

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a page of metrics on several loopback addresses, as pods have one port."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), _Metrics)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    monkeypatch.setattr(answers, "PORT", server.server_address[1])
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("port")
def test_the_counts_of_pods_are_added_up() -> None:
    pods = [_pod("a", "127.0.0.2"), _pod("b", "127.0.0.3")]
    counts = _ask(pods, ASKED)
    assert (counts.requests, counts.failures) == (200, 20)
    pods[1] = _pod("b", "127.0.0.3", restarts=1)
    assert _ask(pods, ASKED).since != counts.since


def test_a_pod_that_does_not_answer_is_no_count_of_the_others(port: int) -> None:
    with pytest.raises(Unavailable, match=rf"\[::1\]:{port}"):
        _ask([_pod("a"), _pod("b", "::1")], ASKED)


@pytest.mark.parametrize("asked", [RouteCounts("shop", "route"), GroupCores("shop", "shop-1")])
def test_what_only_a_machine_counts_is_unsupported(asked: Any) -> None:
    with pytest.raises(Unsupported):
        _ask([], asked)


def test_a_directory_is_unsupported_and_a_git_repository_is_asked(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="give a Git repository"):
        _ask([], SourceDigest(directory="/home/me/shop"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert _ask([], SourceDigest(repository=f"file://{tmp_path}", revision="main")).digest == commit
