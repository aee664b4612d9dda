"""TLS or plain HTTP: what is taken for granted, how it is said otherwise, and what a wrong guess tells."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lykeion.core import SILENT
from lykeion.oci.distribution import InvalidReference, Reference, RemoteStore, StoreError, Transport, speaking
from lykeion.oci.distribution.schemes import Scheme
from lykeion.registry import BlobCache, pull
from tests.oci.distribution.fake import Troubles, running
from tests.registry.keys import server_of_an_own_authority
from tests.registry.making import pushed


def remote(host: str, scheme: Scheme | None = None) -> RemoteStore:
    return RemoteStore(Transport(host, scheme=scheme, sleep=lambda _seconds: None))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that is not this machine's, and leads to it."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *others: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host == "registry.shop.svc" else host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return "registry.shop.svc"


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """A server that says these to whoever connects; its host."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_plain_http_is_for_loopback_alone() -> None:
    assert Transport("registry.example.com").base == "https://registry.example.com"
    assert Transport("registry.example.com:5000").base == "https://registry.example.com:5000"
    assert Transport("localhost:5000").base == "http://localhost:5000"
    assert Transport("[::1]:5000").base == "http://[::1]:5000"
    assert Transport("docker.io").base == "https://registry-1.docker.io"
    assert Transport("127.0.0.1.example.com").base == "https://127.0.0.1.example.com"
    assert Transport("registry.localhost:5000").base == "https://registry.localhost:5000"
    assert Transport("127.9.9.9").base == "http://127.9.9.9"


def test_tls_is_verified_and_a_companys_own_authority_is_taken_from_where_docker_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_of_an_own_authority(tmp_path)
    monkeypatch.setattr("lykeion.oci.distribution.connections.CERTIFICATES", tmp_path / "certs.d")
    for known in (False, True):
        with running(tls=context) as registry:
            if known:
                (tmp_path / "certs.d" / registry.host).mkdir(parents=True)
                (tmp_path / "certs.d" / registry.host / "ca.crt").write_bytes(authority.read_bytes())
                pushed(remote(registry.host, "https"), tmp_path / "a", "shoes")
                assert remote(registry.host, "https").resolve("shoes", "v1")
            else:
                with pytest.raises(StoreError, match="certificate"):
                    remote(registry.host, "https").resolve("shoes", "v1")
                assert registry.requests == []


def test_a_registry_of_a_cluster_is_spoken_to_in_plain_where_that_is_said(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is what it leads to: uploads and blobs elsewhere, tokens."""
    with running(Troubles(login=("anna", "p"))) as registry, running(blobs_of=registry) as elsewhere:
        host, other = (it.host.replace("127.0.0.1", cluster) for it in (registry, elsewhere))
        login = tmp_path / "auth.json"
        login.write_text(f'{{"auths": {{"{host}": {{"username": "anna", "password": "p"}}}}}}')
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(login))
        monkeypatch.setenv("LYKEION_REGISTRIES", f"https://docker.io http://{host}/")
        registry.troubles.blobs_elsewhere = f"http://{other}"
        pushed(remote(host), tmp_path / "a", "shoes", b"content")
        pull(remote(host), Reference(host, "shoes"), tmp_path / "b", cache=BlobCache(tmp_path / "c"), reporter=SILENT)
        assert elsewhere.requests
        assert set(elsewhere.seen_authorization) == {None}
    assert Transport("docker.io").base == "https://registry-1.docker.io"


def test_a_command_says_it_of_all_registries_that_it_meets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_REGISTRIES", "https://registry.example.com")
    with speaking("http"):
        assert Transport("registry.example.com").base == "http://registry.example.com"
        with speaking("https"):
            assert Transport("localhost:5000").base == "https://localhost:5000"
    assert Transport("registry.example.com").base == "https://registry.example.com"


@pytest.mark.parametrize("wrong", ["registry:5000", "http://", "http://a:port", "1", "ftp://registry"])
def test_a_list_of_registries_that_is_none_is_one_line(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_REGISTRIES", f"http://localhost:5000 {wrong}")
    with pytest.raises(InvalidReference, match=r"LYKEION_REGISTRIES: .*write http://HOST") as error:
        Transport("localhost:5000")
    assert "\n" not in str(error.value)


def test_plain_http_that_is_asked_over_tls_says_so_at_once() -> None:
    waited: list[float] = []
    with running() as registry, pytest.raises(StoreError) as error:
        Transport(registry.host, scheme="https", sleep=waited.append).send("GET", "/v2/", scope="")
    assert f"--plain-http, or LYKEION_REGISTRIES=http://{registry.host}" in str(error.value)
    assert waited == []


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\n<ht>",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"",
    ],
    ids=["go", "nginx", "alert", "nothing"],
)
def test_tls_that_is_asked_in_plain_says_so(words: bytes) -> None:
    with answering(words) as host:
        for ask in (remote(host).tags, lambda name: remote(host).resolve(name, "v1")):
            with pytest.raises(StoreError, match=f"--tls, or LYKEION_REGISTRIES=https://{host}") as error:
                ask("shoes")
            assert "\n" not in str(error.value)


def test_a_registry_that_has_answered_is_not_taken_to_speak_otherwise(tmp_path: Path) -> None:
    body = b'{"errors":[{"code":"NAME_INVALID"}]}'
    refusal = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(refusal) as host, pytest.raises(StoreError, match="NAME_INVALID") as error:
        remote(host).tags("shoes")
    assert "--tls" not in str(error.value)
    with running() as registry:
        store = remote(registry.host)
        digest = pushed(store, tmp_path / "a", "shoes")
        registry.troubles.cut_documents = 100
        with pytest.raises(StoreError) as error:
            store.manifest("shoes", digest)
    assert "--tls" not in str(error.value)
