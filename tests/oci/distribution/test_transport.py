"""What registries do in practice: logins, redirects, busy hours, cut connections."""

import base64
import json
import os
import resource
import threading
from pathlib import Path

import pytest

from lykeion.core import SILENT, LykeionError, Refused, digest_bytes
from lykeion.oci import Descriptor
from lykeion.oci.distribution import Reference, RemoteStore, StoreError, Transport
from lykeion.oci.distribution.tokens import Challenge, read_challenge
from lykeion.registry import BlobCache, ModelFacts, list_versions, load, pull, push, show, sign, tags_at
from tests.oci.distribution.fake import Registry, Troubles, running
from tests.registry.keys import key_pair
from tests.registry.making import packed, pushed

LOGIN = ("anna", "se:cret")


def log_in(host: str, user: str = LOGIN[0], password: str = LOGIN[1]) -> None:
    path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def remote(registry: Registry) -> RemoteStore:
    return RemoteStore(Transport(registry.host, sleep=lambda _seconds: None))


def test_pushing_what_is_there_costs_one_request(tmp_path: Path) -> None:
    with running() as registry:
        model, store = packed(tmp_path / "a"), remote(registry)
        for reference in (Reference(registry.host, "shoes", "canary"), Reference(registry.host, "shoes")):
            push(model, store, reference, reporter=SILENT)
            registry.clear()
            push(model, store, reference, reporter=SILENT)
            assert len(registry.requests) == 1


def test_a_login_is_exchanged_for_a_token(tmp_path: Path) -> None:
    with running(Troubles(login=LOGIN)) as registry:
        log_in(registry.host)
        pushed(remote(registry), tmp_path / "a", "shoes:canary")
        assert "GET /token" in registry.requests
        assert not any(
            (told or "").startswith("Basic")
            for told, request in zip(registry.seen_authorization, registry.requests, strict=True)
            if request != "GET /token"
        )


@pytest.mark.parametrize("login", [None, ("anna", "wrong")])
def test_without_a_right_login_one_is_refused_in_one_line(login: tuple[str, str] | None, tmp_path: Path) -> None:
    with running(Troubles(login=LOGIN)) as registry:
        if login:
            log_in(registry.host, *login)
        with pytest.raises(Refused, match="log in") as error:
            pushed(remote(registry), tmp_path / "a", "shoes")
        assert "\n" not in str(error.value)
        assert "wrong" not in str(error.value)


def test_a_token_that_ends_in_mid_upload_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**16)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    with running(Troubles(login=LOGIN, token_requests=2)) as registry:
        log_in(registry.host)
        store = remote(registry)
        digest = pushed(store, tmp_path / "a", "shoes", os.urandom(2**19))
        assert registry.requests.count("GET /token") > 2
        assert store.resolve("shoes", "v1") == digest


def test_authorization_does_not_follow_a_redirect_to_another_host(tmp_path: Path) -> None:
    with running(Troubles(login=LOGIN)) as registry, running(blobs_of=registry) as elsewhere:
        log_in(registry.host)
        store = remote(registry)
        pushed(store, tmp_path / "a", "shoes", b"content")
        registry.troubles.blobs_elsewhere = f"http://{elsewhere.host}"
        pull(
            store, Reference(registry.host, "shoes"), tmp_path / "b", cache=BlobCache(tmp_path / "c"), reporter=SILENT
        )
        assert elsewhere.requests
        assert set(elsewhere.seen_authorization) == {None}
        assert any(told for told in registry.seen_authorization)


def test_a_busy_registry_is_asked_again_no_sooner_than_it_says(tmp_path: Path) -> None:
    waited: list[float] = []
    with running(Troubles(busy=3, retry_after="7")) as registry:
        store = RemoteStore(Transport(registry.host, sleep=waited.append))
        assert store.resolve("shoes", "v1") is None
        assert [seconds >= 7 for seconds in waited] == [True] * 3
        registry.troubles.busy = 100
        with pytest.raises(StoreError, match="429"):
            store.resolve("shoes", "v1")


def test_a_manifest_that_met_a_half_written_blob_is_written_all_the_same(tmp_path: Path) -> None:
    waited: list[float] = []
    with running() as registry:
        store = RemoteStore(Transport(registry.host, sleep=waited.append))
        registry.troubles.half_written = 3
        assert pushed(store, tmp_path / "a", "shoes", b"content") == store.resolve("shoes", "v1")
        assert len(waited) == 3
        registry.troubles.half_written = 100
        with pytest.raises(StoreError, match="DIGEST_INVALID"):
            pushed(store, tmp_path / "b", "shoes", b"another")


def test_a_retry_after_of_a_year_is_not_waited_for() -> None:
    waited: list[float] = []
    with running(Troubles(busy=1, retry_after="31536000")) as registry:
        RemoteStore(Transport(registry.host, sleep=waited.append)).resolve("shoes", "v1")
    assert max(waited) <= 300


def test_cut_transfers_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**17)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    content = os.urandom(2**19 + 5)
    with running(Troubles(cut_uploads=3, cut_downloads=3)) as registry:
        store = remote(registry)
        pushed(store, tmp_path / "a", "shoes", content)
        pull(
            store, Reference(registry.host, "shoes"), tmp_path / "b", cache=BlobCache(tmp_path / "c"), reporter=SILENT
        )
    assert (tmp_path / "b" / "model.tflite").read_bytes() == content


def test_an_upload_goes_on_in_another_process_where_a_killed_one_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**17)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    content = os.urandom(2**19)
    with running() as registry:
        sent = 0

        class Killed(BaseException):
            pass

        def kill(self: object, offset: int) -> None:
            nonlocal sent
            sent = offset
            if offset >= 2**18:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr("lykeion.oci.distribution.upload._Upload._tell", kill)
            with pytest.raises(Killed):
                pushed(remote(registry), tmp_path / "a", "shoes", content)
        registry.clear()
        pushed(remote(registry), tmp_path / "a", "shoes", content)
        assert sum(request.startswith("PATCH") for request in registry.requests) == 2
        assert remote(registry).holds("shoes", remote(registry).resolve("shoes", "v1") or "")


def test_a_download_goes_on_where_it_was_and_a_wrong_part_is_found_out(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    with running() as registry:
        store, cache = remote(registry), BlobCache(tmp_path / "c")
        pushed(store, tmp_path / "a", "shoes", content)
        blob = packed(tmp_path / "a", content=content).model.files[1].blob
        part = cache.root / "partial" / blob.digest.removeprefix("sha256:")
        part.parent.mkdir(parents=True)
        part.write_bytes(content[:70_000])
        pull(store, Reference(registry.host, "shoes"), tmp_path / "b", cache=cache, reporter=SILENT)
        assert (tmp_path / "b" / "model.tflite").read_bytes() == content
        part.write_bytes(b"x" * 70_000)
        (cache.root / "sha256" / part.name).unlink()
        with pytest.raises(LykeionError, match="pull again"):
            pull(store, Reference(registry.host, "shoes"), tmp_path / "d", cache=cache, reporter=SILENT)
        pull(store, Reference(registry.host, "shoes"), tmp_path / "d", cache=cache, reporter=SILENT)
        assert (tmp_path / "d" / "model.tflite").read_bytes() == content


def test_requests_that_may_be_repeated_share_a_connection_and_others_have_their_own() -> None:
    with running() as registry:
        transport = Transport(registry.host)
        for method, again in (("GET", True), ("HEAD", True), ("GET", True), ("PUT", False)):
            response = transport.send(method, "/v2/shoes/tags/list", scope="", again=again)
            if method == "GET":
                response.read()
        assert len(registry.requests) == 4
        assert len(registry.clients) == 2


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    with running() as registry:
        digest = f"sha256:{'0' * 64}"
        registry.manifests["shoes"][digest] = ("application/json", bytes(5 * 2**20))
        with pytest.raises(StoreError, match="a response of more than 4,194,304 bytes"):
            RemoteStore(Transport(registry.host)).manifest("shoes", digest)


def test_an_address_without_a_path_is_asked_for_its_root() -> None:
    with running() as registry:
        Transport(registry.host).send("GET", f"http://{registry.host}?a=b", scope="").close()
        assert registry.requests == ["GET /"]


def test_a_registry_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError) as error:
        RemoteStore(Transport("127.0.0.1:1", sleep=lambda _seconds: None)).resolve("shoes", "v1")
    assert "127.0.0.1:1" in str(error.value)
    assert "\n" not in str(error.value)


def test_https_goes_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def proxy() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=proxy)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://us:pw@127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(StoreError, match="403"):
            RemoteStore(Transport("registry.example.com", attempts=1)).resolve("shoes", "v1")
        thread.join()
    assert asked[0].startswith(b"CONNECT registry.example.com:443")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"us:pw") in asked[0]


def test_challenges_are_read_as_registries_write_them() -> None:
    challenge = read_challenge(
        'Bearer realm="https://auth.example/token",service=reg, scope="repository:a:pull,push"'
    )
    assert challenge.scheme == "bearer"
    assert challenge.parameters["realm"] == "https://auth.example/token"
    assert challenge.parameters["service"] == "reg"
    assert challenge.parameters["scope"] == "repository:a:pull,push"


def test_a_blob_that_is_shorter_than_the_manifest_says_is_not_asked_for_without_end(tmp_path: Path) -> None:
    content = os.urandom(1000)
    blob = Descriptor("application/octet-stream", digest_bytes(content), len(content))
    with running() as registry:
        for held in (b"", content[:500]):
            registry.blobs["shoes"][blob.digest] = held
            registry.clear()
            with pytest.raises(StoreError, match="received less"):
                remote(registry).fetch("shoes", blob, tmp_path / f"{len(held)}", lambda _count: None)
            assert len(registry.requests) <= 12
        registry.blobs["shoes"][blob.digest] = content
        remote(registry).fetch("shoes", blob, tmp_path / "500", lambda _count: None)
        assert (tmp_path / "500").read_bytes() == content


def test_an_upload_of_which_nothing_is_kept_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**10)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    with running(Troubles(headers={"Range": "0-0"})) as registry:
        with pytest.raises(StoreError, match=r"does not keep|HTTP 416"):
            pushed(remote(registry), tmp_path / "a", "shoes", bytes(2**12))
        assert sum(request.startswith("PATCH") for request in registry.requests) <= 12


def test_documents_that_are_cut_are_asked_for_again_and_at_last_one_line(tmp_path: Path) -> None:
    with running(Troubles(referrers_api=True)) as registry:
        store = remote(registry)
        digest = pushed(store, tmp_path / "a", "shoes", facts=ModelFacts({"top1": 0.5}))
        config = load(store, Reference(registry.host, "shoes")).manifest.config
        for ask in (
            lambda: store.tags("shoes"),
            lambda: store.manifest("shoes", digest),
            lambda: store.read("shoes", config),
            lambda: store.referrers("shoes", digest, ""),
        ):
            registry.troubles.cut_documents = 2
            whole = ask()
            registry.troubles.cut_documents = 0
            assert ask() == whole
            registry.troubles.cut_documents = 100
            with pytest.raises(StoreError) as error:
                ask()
            assert "\n" not in str(error.value)


def test_a_disk_that_is_full_is_said_to_be_and_not_taken_for_the_network(tmp_path: Path) -> None:
    content = bytes(10_000)
    blob = Descriptor("application/octet-stream", digest_bytes(content), len(content))
    with running() as registry:
        registry.blobs["shoes"][blob.digest] = content
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
        try:
            with pytest.raises(StoreError, match="blob: cannot be written"):
                remote(registry).fetch("shoes", blob, tmp_path / "blob", lambda _count: None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert len(registry.requests) == 1


@pytest.mark.parametrize(
    "troubles",
    [
        *(Troubles(written=status) for status in (200, 202, 204)),
        Troubles(knows_head=False),
        Troubles(plain_tags=True),
        Troubles(plain_tags=True, removes_tags=True, referrers_api=True),
    ],
)
def test_registries_that_differ_are_spoken_to(troubles: Troubles, tmp_path: Path) -> None:
    with running(troubles) as registry:
        store, shoes = remote(registry), Reference(registry.host, "shoes", "canary")
        digest = pushed(store, tmp_path / "a", "shoes:canary")
        sign(store, shoes, key_pair(tmp_path / "key")[0])
        pull(store, shoes, tmp_path / "b", cache=BlobCache(tmp_path / "c"), reporter=SILENT)
        assert tags_at(store, "shoes") == {digest: ["v1", "canary"]}
        assert show(store, shoes).signatures == 1
        assert not store.has("shoes", f"sha256:{'0' * 64}")


def test_chunks_are_as_long_as_the_registry_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**10)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**10)
    with running(Troubles(least_chunk=2**12)) as registry:
        assert pushed(remote(registry), tmp_path / "a", "shoes", bytes(2**14))
        assert sum(request.startswith("PATCH") for request in registry.requests) == 4


def test_one_odd_tag_does_not_break_a_list(tmp_path: Path) -> None:
    with running() as registry:
        store = remote(registry)
        digest = pushed(store, tmp_path / "a", "shoes:canary")
        index = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
        for tag, data in (("index", index), ("junk", b'{"schemaVersion": 1}')):
            registry.manifests["shoes"][digest_bytes(data)] = ("application/json", data)
            registry.tags["shoes"][tag] = digest_bytes(data)
        registry.tags["shoes"]["broken"] = digest
        registry.troubles.broken_tag = "broken"
        (version,) = list_versions(store, "shoes")
        assert (version.version, version.aliases) == ("v1", ("canary",))


def test_a_challenge_that_is_known_is_taken_among_others(tmp_path: Path) -> None:
    with running(Troubles(login=LOGIN, challenge='Negotiate, NTLM, Digest realm="x, y", nonce="a", ')) as registry:
        log_in(registry.host)
        assert pushed(remote(registry), tmp_path / "a", "shoes")
    assert read_challenge('Negotiate, Basic realm="a"') == Challenge("basic", {"realm": "a"})
    assert read_challenge("Negotiate oRQwEg==").scheme == "negotiate"
    assert read_challenge("").scheme == ""
