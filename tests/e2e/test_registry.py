"""The behaviour suite on Debian's docker-registry, skopeo beside us, and the registry over TLS and plain HTTP."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion.core import SILENT, digest_bytes
from lykeion.oci import EMPTY, EMPTY_BLOB
from lykeion.oci.distribution import ArtifactStore, DiskStore, Reference, RemoteStore, Transport
from lykeion.registry import BlobCache, pull, verify
from lykeion.registry.moves import Move
from tests.registry.behaviour import *  # noqa: F403
from tests.registry.conftest import _home as _home
from tests.registry.keys import server_of_an_own_authority
from tests.registry.making import IGNORE, pushed

from .serving import COMMAND

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry")
needs_oras = pytest.mark.skipif(shutil.which("oras") is None, reason="needs oras")
needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def store(host: str) -> ArtifactStore:
    return RemoteStore(Transport(host))


def skopeo(*arguments: str) -> bytes:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_writers_of_one_new_blob_do_not_disturb_each_other(host: str) -> None:
    """Each finds the blob missing and brings it, while the others' manifests already name it."""
    clients = 6
    gate, stores = Barrier(clients), [RemoteStore(Transport(host)) for _ in range(clients)]

    def write(repository: str, client: int) -> str:
        record = Move("v1", 1, "", "sha256:" + "0" * 64, f"{client}@shop", "2026-11-01T00:00:00.000Z", "")
        gate.wait()
        stores[client].put(repository, EMPTY, EMPTY_BLOB, IGNORE)
        stores[client].write(repository, [record.manifest], {record.tag(unique=True): record.digest})
        return record.tag(unique=True)

    with ThreadPoolExecutor(clients) as pool:
        for repository in (f"shop/round-{n}" for n in range(25)):
            written = pool.map(write, [repository] * clients, range(clients))
            assert sorted(written) == stores[0].tags(repository)


@needs_skopeo
def test_skopeo_reads_the_manifest_that_we_wrote(store: ArtifactStore, host: str, name: str, tmp_path: Path) -> None:
    digest = pushed(store, tmp_path / "1", f"{name}:canary")
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/{name}:canary")
    assert digest_bytes(raw) == digest
    assert json.loads(raw)["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"


@needs_skopeo
def test_skopeo_copies_to_our_store_and_from_it_with_one_digest(
    store: ArtifactStore, host: str, name: str, tmp_path: Path
) -> None:
    disk = DiskStore(tmp_path / "store")
    digest = pushed(store, tmp_path / "1", name, os.urandom(50_000))
    plain = name.rpartition("/")[2]
    pushed(disk, tmp_path / "2", f"{plain}:canary", b"another")
    skopeo("copy", "--src-tls-verify=false", f"docker://{host}/{name}:v1", f"oci:{disk.root}:{plain}:fromthere")
    assert disk.resolve(plain, "fromthere") == digest
    assert verify(disk, Reference(None, plain, "fromthere"), reporter=SILENT) == []
    skopeo("copy", "--dest-tls-verify=false", f"oci:{disk.root}:{plain}:canary", f"docker://{host}/{name}-2:canary")
    assert store.resolve(f"{name}-2", "canary") == disk.resolve(plain, "canary")


@needs_skopeo
def test_we_pull_what_skopeo_pushed(store: ArtifactStore, host: str, name: str, tmp_path: Path) -> None:
    disk = DiskStore(tmp_path / "store")
    plain, content = name.rpartition("/")[2], os.urandom(50_000)
    digest = pushed(disk, tmp_path / "1", plain, content)
    skopeo("copy", "--dest-tls-verify=false", f"oci:{disk.root}:{plain}:v1", f"docker://{host}/{name}:there")
    pulled = pull(
        store, Reference(host, name, "there"), tmp_path / "out", cache=BlobCache(tmp_path / "c"), reporter=SILENT
    )
    assert pulled.digest == digest
    assert (tmp_path / "out" / "model.tflite").read_bytes() == content


@needs_oras
def test_oras_pulls_our_files_and_we_pull_its(store: ArtifactStore, host: str, name: str, tmp_path: Path) -> None:
    def oras(*arguments: str) -> None:
        done = subprocess.run(["oras", *arguments, "--plain-http"], capture_output=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr.decode()

    content = os.urandom(50_000)
    pushed(store, tmp_path / "1", f"{name}:canary", content)
    oras("pull", f"{host}/{name}:canary", "--output", "theirs")
    assert (tmp_path / "theirs" / "model.tflite").read_bytes() == content
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.onnx").write_bytes(content)
    kind = "application/vnd.cncf.model.manifest.v1+json"
    oras("push", f"{host}/{name}:theirs", "deep/model.onnx", "--artifact-type", kind)
    pull(store, Reference(host, name, "theirs"), tmp_path / "out", cache=BlobCache(tmp_path / "c"), reporter=SILENT)
    assert (tmp_path / "out" / "deep" / "model.onnx").read_bytes() == content


# --- TLS and plain HTTP, by the command ---


@pytest.fixture
def models(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``lykeion models`` in a process of its own, with a model in its store and no certificates."""
    pushed(DiskStore(tmp_path / "home" / "store"), tmp_path / "a", "shoes:canary", b"content")

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LYKEION_HOME": str(tmp_path / "home"), **variables}
        return subprocess.run([*COMMAND, "models", *words], env=environment, capture_output=True, text=True)

    return run


def test_a_registry_that_speaks_tls_on_this_machine(
    tmp_path: Path, models: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    _, authority = server_of_an_own_authority(tmp_path)
    with docker_registry(tmp_path, tls=(authority, tmp_path / "server.key")) as host:
        copy, known = ("copy", "shoes:canary", f"{host}/shop/shoes:canary"), {"SSL_CERT_FILE": str(authority)}
        for words, variables, said in (
            (copy, known, f"--tls, or LYKEION_REGISTRIES=https://{host}"),
            ((*copy, "--tls"), {}, f"certs.d/{host} or SSL_CERT_FILE may hold its certificate authority"),
        ):
            done = models(*words, **variables)
            assert (done.returncode, done.stdout) == (2, "")
            assert said in done.stderr.splitlines()[-1]
        assert models(*copy, "--tls", **known).returncode == 0
        done = models("list", f"{host}/shop/shoes", "--json", **known, LYKEION_REGISTRIES=f"https://{host}")
        assert [it["aliases"] for it in json.loads(done.stdout)["versions"]] == [["canary"]]


def test_a_registry_elsewhere_that_speaks_plain_http(
    tmp_path: Path, models: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with docker_registry(tmp_path, address=address_of_this_machine()) as host:
        copy = ("copy", "shoes:canary", f"{host}/shop/shoes:canary")
        done = models(*copy)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--plain-http, or LYKEION_REGISTRIES=http://{host}" in done.stderr.splitlines()[-1]
        assert models(*copy, "--plain-http").returncode == 0
        done = models("pull", f"{host}/shop/shoes", str(tmp_path / "b"), LYKEION_REGISTRIES=f"http://{host}")
        assert done.returncode == 0
        assert (tmp_path / "b" / "model.tflite").read_bytes() == b"content"


def address_of_this_machine() -> str:
    """One that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("needs a network")
        address: str = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("needs an address that is not loopback")
    return address
