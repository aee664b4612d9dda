"""Requests that a registry may not cause: from TLS to plain HTTP, to networks it is not in, to change anything
elsewhere; and addresses that are none."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lykeion.core import SILENT, LykeionError, Refused
from lykeion.oci import Descriptor
from lykeion.oci.distribution import Reference, RemoteStore, StoreError, Transport
from lykeion.oci.distribution.connections import Connections, network_of, origin
from lykeion.registry import BlobCache, pull
from tests.oci.distribution.fake import Registry, Troubles, running
from tests.registry.keys import server_of_an_own_authority
from tests.registry.making import packed, pushed


def remote(registry: Registry) -> RemoteStore:
    return RemoteStore(Transport(registry.host, sleep=lambda _seconds: None))


@pytest.fixture
def elsewhere() -> Iterator[Registry]:
    with running() as registry:
        yield registry


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that speaks TLS, at an address that counts as one of the internet."""
    context, authority = server_of_an_own_authority(tmp_path)
    monkeypatch.setattr("lykeion.oci.distribution.connections.CERTIFICATES", tmp_path / "certs.d")
    with running(tls=context) as registry:
        monkeypatch.setenv("LYKEION_REGISTRIES", f"https://{registry.host}")
        (tmp_path / "certs.d" / registry.host).mkdir(parents=True)
        (tmp_path / "certs.d" / registry.host / "ca.crt").write_bytes(authority.read_bytes())
        yield registry


def test_nothing_goes_from_tls_to_plain_http(far: Registry, elsewhere: Registry, tmp_path: Path) -> None:
    pushed(remote(far), tmp_path / "a", "shoes")
    far.troubles.blobs_elsewhere = f"http://{elsewhere.host}"
    with pytest.raises(StoreError, match="from TLS to plain HTTP"):
        pull(
            remote(far),
            Reference(far.host, "shoes"),
            tmp_path / "b",
            cache=BlobCache(tmp_path / "c"),
            reporter=SILENT,
        )
    far.troubles.uploads_at = f"http://{elsewhere.host}"
    with pytest.raises(StoreError, match="from TLS to plain HTTP"):
        pushed(remote(far), tmp_path / "d", "shoes", b"other")
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.8.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.1.2.3", "private"),
        ("192.168.0.1", "private"),
        ("172.31.0.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("8.8.8.8", ""),
        ("2606:4700::1111", ""),
    ],
)
def test_an_address_is_in_the_network_that_it_belongs_to(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_registry_elsewhere_leads_nobody_to_this_machine_whatever_it_calls_it(
    name: str, elsewhere: Registry
) -> None:
    connections = Connections(("https", "registry.example.com", 443), 5)
    inside = urlsplit(f"http://{elsewhere.host.replace('127.0.0.1', name)}/v2/")
    for new in (True, False):
        with pytest.raises(StoreError, match="a loopback address"):
            connections.send("GET", inside, {}, b"", new=new)
    assert elsewhere.requests == []


def test_a_registry_on_this_machine_may_lead_to_it(elsewhere: Registry) -> None:
    with running() as registry:
        home, other = urlsplit(f"http://{registry.host}/"), urlsplit(f"http://{elsewhere.host}/")
        connections = Connections(origin(home), 5)
        for url in (home, other):
            assert connections.send("GET", url, {}, b"", new=False).status == 404


def test_an_upload_stays_where_the_registry_began_it(
    elsewhere: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**16)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    with running(Troubles(uploads_move_to=f"http://{elsewhere.host}")) as registry:
        with pytest.raises(StoreError, match="began no upload"):
            pushed(remote(registry), tmp_path / "a", "shoes", bytes(2**18))
        assert all(request.startswith("GET") for request in elsewhere.requests)


def test_an_upload_that_is_declared_at_another_server_goes_there(elsewhere: Registry, tmp_path: Path) -> None:
    with running() as registry:
        elsewhere.blobs, elsewhere.uploads = registry.blobs, registry.uploads
        registry.troubles.uploads_at = f"http://{elsewhere.host}"
        digest = pushed(remote(registry), tmp_path / "a", "shoes")
        assert remote(registry).holds("shoes", digest)
        assert {request.split()[0] for request in elsewhere.requests} == {"PUT"}


def test_what_a_mount_began_elsewhere_is_not_deleted_there(elsewhere: Registry) -> None:
    with running() as registry:
        registry.troubles.uploads_at = f"http://{elsewhere.host}"
        blob = Descriptor("application/octet-stream", f"sha256:{'0' * 64}", 3)
        assert not remote(registry).mount("shoes", blob, "bags")
        assert elsewhere.requests == []


ADDRESSES = ["https://[bad", "http://127.0.0.1:99999/", "http://é.example/", "https:///", "ftp://h/", "http://h:x/"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_one_line(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as registry:
        registry.troubles.headers = {"Location": address}
        with pytest.raises(LykeionError, match="not an address"):
            pushed(remote(registry), tmp_path / "a", "shoes")
        registry.troubles.headers = {}
        digest = pushed(remote(registry), tmp_path / "a", "shoes")
        registry.troubles.blobs_elsewhere = address
        with pytest.raises(LykeionError, match="not an address"):
            remote(registry).read("shoes", packed(tmp_path / "a").model.files[0].blob)
        registry.tags["shoes"].update({f"t{n}": digest for n in range(9)})
        registry.troubles.headers = {"Link": f'<{address}>; rel="next"'}
        with pytest.raises(LykeionError, match="not an address"):
            remote(registry).tags("shoes")
    with running(Troubles(login=("anna", "p"))) as registry:
        registry.troubles.headers = {"WWW-Authenticate": f'Bearer realm="{address}",service="x"'}
        with pytest.raises(LykeionError, match="not an address"):
            remote(registry).resolve("shoes", "v1")
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(StoreError, match="https_proxy"):
        RemoteStore(Transport("registry.example.com")).resolve("shoes", "v1")


@pytest.mark.parametrize(
    "body", ['{"token": "€"}', '{"token": "a\\nb"}', '{"token": "t", "expires_in": 1' + "0" * 400 + "}"]
)
def test_a_token_that_is_none_is_one_line(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Troubles(login=("anna", "p"))) as registry:
        monkeypatch.setattr(
            "tests.oci.distribution.fake._Handler._token", lambda self, _query: self._answer(200, body.encode())
        )
        with pytest.raises(Refused, match="no token"):
            remote(registry).resolve("shoes", "v1")


@pytest.mark.parametrize("further", ["/v2/shoes/tags/list", "/v2/shoes/tags/list?last=t0"])
def test_pages_that_have_no_end_are_not_read_for_ever(
    further: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.remote_store.MAX_PAGES", 20)
    with running(Troubles(referrers_api=True)) as registry:
        digest = pushed(remote(registry), tmp_path / "a", "shoes")
        registry.tags["shoes"].update({f"t{n}": digest for n in range(9)})
        registry.troubles.headers = {"Link": f'<{further}>; rel="next"'}
        with pytest.raises(StoreError, match="more than 20 pages"):
            remote(registry).tags("shoes")
        registry.troubles.headers = {}
        registry.tags["shoes"].update({f"t{n:03}": digest for n in range(99)})
        with pytest.raises(StoreError, match="more than 20"):
            remote(registry).tags("shoes")
        registry.troubles.junk = [{"mediaType": "x", "digest": digest, "size": 1}] * 99
        with pytest.raises(StoreError, match="more than 20"):
            remote(registry).referrers("shoes", digest, "")


def test_an_answer_that_comes_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as registry:
        monkeypatch.setattr("tests.oci.distribution.fake._Handler._serve", _drip)
        monkeypatch.setattr("lykeion.oci.distribution.transport.MAX_WAIT_S", 0.0)
        with pytest.raises(StoreError, match="takes more than 0 s"):
            remote(registry).tags("shoes")


def _drip(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b" ")
