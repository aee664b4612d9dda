"""Images on a real base: a Debian root file system, real wheels, real tools beside us, and processes that start."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion.core import digest_bytes
from tests.images.making import describe
from tests.images.test_running import needs_unshare
from tests.search.ingest.tiny import jpeg

from .serving import COMMAND

TOKEN = "0123456789abcdef"
ROOT = Path(__file__).parents[2]
DIRECT = {"compression": "none", "environment": {"LYKEION_TOKEN": TOKEN}}

needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def small(base: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that serves files; its digest."""
    project = tmp_path_factory.mktemp("small")
    (project / "page.html").write_text("<h1>Shoes</h1>")
    describe(
        project,
        name="small",
        base={"rootfs": str(base)},
        sources=[{"from": "page.html", "to": "/srv/page.html"}],
        entrypoint=["python3", "-m", "http.server", "--bind", "127.0.0.1"],
        **DIRECT,
    )
    return lykeion(home, "build", str(project / "image.yaml"))["digest"]


def lykeion(home: Path, *arguments: str) -> dict:
    command = [*COMMAND, "images", *arguments, "--json"]
    done = subprocess.run(command, env={**os.environ, "LYKEION_HOME": str(home)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def started(home: Path, image: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*COMMAND, "images", "run", "--quiet", image, *arguments]
    with subprocess.Popen(command, env={**os.environ, "LYKEION_HOME": str(home)}) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port: int, path: str, process: subprocess.Popen[bytes], method: str = "GET", **request: object) -> bytes:
    """The answer, once the server gives one."""
    deadline = time.monotonic() + 120
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, path, **request)  # pyright: ignore[reportArgumentType]
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return body
        except ConnectionError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.1)


@needs_unshare
def test_a_server_starts_from_a_built_image(small: str, home: Path) -> None:
    port = free_port()
    with started(home, "small:latest", str(port)) as process:
        assert answer(port, "/page.html", process) == b"<h1>Shoes</h1>"
    assert process.returncode == -15


@needs_skopeo
def test_skopeo_reads_an_image_and_copies_it_with_one_digest(small: str, home: Path, tmp_path: Path) -> None:
    layout = home / "images" / "store"
    seen = json.loads(skopeo("inspect", f"oci:{layout}:small:latest"))
    assert seen["Digest"] == small
    assert seen["Labels"]["io.github.lykeion.kind"] == "serving"
    skopeo("copy", "--preserve-digests", f"oci:{layout}:small:latest", f"oci:{tmp_path / 'copy'}:small:latest")
    assert digest_bytes(skopeo("inspect", "--raw", f"oci:{tmp_path / 'copy'}:small:latest")) == small


@needs_skopeo
@pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry")
def test_skopeo_reads_what_we_push_and_we_read_what_it_pushes(small: str, home: Path, tmp_path: Path) -> None:
    with docker_registry(tmp_path) as host:
        lykeion(home, "push", "small:latest", f"{host}/shop/small:ours", "--quiet")
        raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/shop/small:ours")
        assert digest_bytes(raw) == small
        source = f"oci:{home / 'images' / 'store'}:small:latest"
        skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", source, f"docker://{host}/shop/small:theirs")
        pulled = lykeion(home, "pull", f"{host}/shop/small:theirs", "--layout", str(tmp_path / "pulled"), "--quiet")
        assert pulled["digest"] == small


def skopeo(*arguments: str) -> bytes:
    done = subprocess.run(["skopeo", *arguments], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.slow
@needs_unshare
def test_the_photo_search_service_answers_from_its_image(
    base: Path, home: Path, index: Path, network: Path, tmp_path: Path
) -> None:
    if f"python{sys.version_info[0]}.{sys.version_info[1]}" not in os.listdir(base / "usr" / "bin"):  # noqa: PTH208
        pytest.skip("wheels are built for another Python than the base has")
    wheels = tmp_path / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheels), f"{ROOT}[search]"]
    subprocess.run(command, check=True)
    lock = subprocess.run([*COMMAND, "images", "lock", str(wheels)], check=True, capture_output=True).stdout
    (tmp_path / "requirements.txt").write_bytes(lock)
    describe(
        tmp_path,
        name="shop-search",
        base={"rootfs": str(base)},
        python={"requirements": "requirements.txt", "wheels": ["wheels"], "index": False},
        sources=[{"from": index.name, "to": "/srv/index"}],
        model=str(network),
        **DIRECT,
    )
    lykeion(home, "build", str(tmp_path / "image.yaml"), "--quiet")
    port = free_port()
    with started(home, "shop-search:latest", "--host", "127.0.0.1", "--port", str(port)) as process:
        assert json.loads(answer(port, "/readyz", process)) == {"status": "ready"}
        head = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Authorization": f"Bearer {TOKEN}"}
        body = head + jpeg(3) + b"\r\n--b--\r\n"
        found = json.loads(answer(port, "/v1/search/photo", process, "POST", body=body, headers=headers))
        assert found["results"][0]["id"] == "item-3"
        process.terminate()
        assert process.wait(60) == 0, "it stops as it does outside of an image"


@pytest.mark.skipif(shutil.which("buildah") is None, reason="needs buildah")
def test_a_dockerfile_with_commands_is_built_by_buildah(base: Path, home: Path, tmp_path: Path) -> None:
    libraries = [path for path in base.glob("usr/lib*/**/*") if path.name.startswith(("libc.so", "ld-linux"))]
    programs = [base / name for name in ("bin", "lib", "lib64", "srv", "usr/bin/sh", "usr/bin/dash", "usr/bin/cat")]
    needed = [path.relative_to(base) for path in (*programs, *libraries) if path.exists()]
    subprocess.run(["tar", "-C", base, "-cf", tmp_path / "root.tar", *needed], check=True)
    (tmp_path / "Dockerfile").write_text(
        'FROM scratch\nADD root.tar /\nRUN echo made > /srv/made\nCMD ["cat", "/srv/made"]\n'
    )
    built = lykeion(home, "build", str(tmp_path / "Dockerfile"), "--tag", "made:latest")
    assert built["ref"] == "made:latest"
    done = subprocess.run(
        [*COMMAND, "images", "run", "--quiet", "made:latest"],
        env={**os.environ, "LYKEION_HOME": str(home)},
        capture_output=True,
    )
    assert done.stdout == b"made\n", done.stderr
