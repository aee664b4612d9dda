"""The demo's data set, with each of its sources cut off."""

import csv
import gzip
import io
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from examples.fashion_mnist import CATEGORIES, DataSet, DataSetError, load, write_catalogue
from examples.fashion_mnist.dataset import SAMPLE_SOURCE, read_whole, read_whole_or_sample
from examples.fashion_mnist.make_sample import sample_contents
from examples.fashion_mnist.published import SAMPLE, SAMPLE_FOLDER, IdxFile
from examples.fashion_mnist.sources import (
    DEBIAN,
    Patience,
    Source,
    default_sources,
    from_apt,
    from_folder,
    from_github,
    kept_copy,
)
from lykeion.core import digest_bytes

ROOT = Path(__file__).parents[1]
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10
CONTENT = {
    "train-images-idx3-ubyte": b"\0" * 16 + IMAGES[:8].tobytes(),
    "train-labels-idx1-ubyte": b"\0" * 8 + LABELS[:8].tobytes(),
    "t10k-images-idx3-ubyte": b"\0" * 16 + IMAGES[8:].tobytes(),
    "t10k-labels-idx1-ubyte": b"\0" * 8 + LABELS[8:].tobytes(),
}
FILES = [IdxFile(name, len(data), digest_bytes(data)) for name, data in CONTENT.items()]
PACKED = {file.packed_name: gzip.compress(CONTENT[file.name]) for file in FILES}
IMPATIENT = Patience(answer_s=5, pauses_s=(0, 0))
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda packed: packed[:-20],
    "another's": lambda packed: gzip.compress(b"something else"),
    "one byte off": lambda packed: gzip.compress(b"\1" + gzip.decompress(packed)[1:]),
    "endless": lambda packed: packed + gzip.compress(bytes(1 << 20)),
    "no gzip": lambda packed: b"<html>Sign in to this network</html>",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is kept yet, and no proxy is set."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "home"


def folder_of(path: Path, packed: dict[str, bytes] = PACKED) -> Path:
    path.mkdir(parents=True)
    for name, data in packed.items():
        (path / name).write_bytes(data)
    return path


def folder(name: str, path: Path) -> Source:
    return Source(name, partial(from_folder, path))


def github(url: str, patience: Patience = IMPATIENT) -> Source:
    return Source("GitHub", partial(from_github, home=url, patience=patience), far=True)


def read(*sources: Source, files: Sequence[IdxFile] = FILES) -> tuple[DataSet | None, list[str]]:
    """The data set if there is a source that has it, and the lines that were said."""
    said: list[str] = []
    try:
        return read_whole(sources, files, said.append), said
    except DataSetError:
        return None, said


@contextmanager
def server(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A server's URL, and the paths asked for so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, data = answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_port}/", asked
    finally:
        served.shutdown()
        served.server_close()


def whole(path: str) -> tuple[int, bytes]:
    data = PACKED.get(path.rpartition("/")[2])
    return (404, b"") if data is None else (200, data)


# --- the catalogue ---


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return read_whole([folder("here", folder_of(tmp_path / "here"))], FILES)


def test_the_catalogue_lists_each_photo_with_category_split_and_price(data: DataSet, tmp_path: Path) -> None:
    manifest = write_catalogue(tmp_path / "demo", data, photos=10)
    rows = list(csv.DictReader(io.StringIO(manifest.read_text())))
    assert [row["id"] for row in rows] == [f"train-{n:05}" for n in range(8)] + ["test-00000", "test-00001"]
    assert [row["category"] for row in rows] == [CATEGORIES[label] for label in LABELS[:10]]
    assert all(int(row["price"]) > 0 for row in rows)
    for row, image in zip(rows, IMAGES, strict=False):
        assert (np.asarray(Image.open(manifest.parent / row["path"])) == image).all()


def test_the_query_is_the_first_test_photo(data: DataSet, tmp_path: Path) -> None:
    write_catalogue(tmp_path / "demo", data, photos=2)
    assert (np.asarray(Image.open(tmp_path / "demo" / "query.png")) == IMAGES[8]).all()


def test_writing_again_gives_the_same_catalogue(data: DataSet, tmp_path: Path) -> None:
    first = write_catalogue(tmp_path / "demo", data, photos=9).read_bytes()
    assert write_catalogue(tmp_path / "demo", data, photos=9).read_bytes() == first


def test_where_more_photos_are_wanted_than_there_are_all_are_written(data: DataSet, tmp_path: Path) -> None:
    rows = write_catalogue(tmp_path / "demo", data, photos=70_000).read_text().splitlines()
    assert len(rows) == 1 + 12


# --- one source after the other ---


def test_the_order_is_debian_the_kept_copy_github_apt() -> None:
    assert [source.name for source in default_sources()] == ["Debian's package", "the kept copy", "GitHub", "apt-get"]


def test_what_is_installed_or_kept_is_not_asked_for_elsewhere(tmp_path: Path) -> None:
    here = folder("here", folder_of(tmp_path / "here"))
    with server(whole) as (url, asked):
        data, said = read(here, github(url))
    assert data is not None
    assert (data.splits["train"][0] == IMAGES[:8]).all()
    assert (data.splits["test"][1] == LABELS[8:]).all()
    assert (data.origin, said, asked) == ("here", [], [])


def test_what_is_not_there_is_downloaded_once_and_kept(tmp_path: Path) -> None:
    with server(whole) as (url, asked):
        sources = [
            folder("Debian's package", tmp_path / "nothing"),
            folder("the kept copy", kept_copy()),
            github(url),
        ]
        first, _ = read(*sources)
        second, said = read(*sources)
    assert first is not None
    assert first.origin == "GitHub"
    assert second is not None
    assert (second.origin, said) == ("the kept copy", [])
    assert asked == [f"/{name}" for name in PACKED]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_the_next_source_is_used(tmp_path: Path, damage: str) -> None:
    name = "train-images-idx3-ubyte.gz"
    damaged = {**PACKED, name: DAMAGE[damage](PACKED[name])}
    bad, good = folder_of(tmp_path / "bad", damaged), folder_of(tmp_path / "good")
    data, said = read(folder("bad", bad), folder("good", good))
    assert data is not None
    assert data.origin == "good"
    assert len(said) == 1
    assert said[0].startswith(f"bad: {name}: not ")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_download_is_not_kept(damage: str) -> None:
    def answer(path: str) -> tuple[int, bytes]:
        return 200, DAMAGE[damage](whole(path)[1])

    with server(answer) as (url, _):
        data, said = read(github(url))
    assert data is None
    assert len(said) == 1
    assert not [*kept_copy().glob("**/*")]


def test_a_kept_copy_that_is_damaged_is_replaced(tmp_path: Path) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    folder_of(kept_copy(), {**PACKED, name: b""})
    with server(whole) as (url, asked):
        data, said = read(folder("the kept copy", kept_copy()), github(url))
    assert data is not None
    assert data.origin == "the kept copy and GitHub"
    assert asked == [f"/{name}"]
    assert len(said) == 1
    assert (kept_copy() / name).read_bytes() == PACKED[name]


def test_a_copy_that_cannot_be_kept_costs_nothing_but_a_line(home: Path) -> None:
    home.write_text("a file where a folder belongs")
    with server(whole) as (url, _):
        data, said = read(github(url))
    assert data is not None
    assert "no copy can be kept" in said[0]


def test_an_answer_larger_than_the_file_is_cut_off() -> None:
    with server(lambda path: (200, bytes(10 << 20))) as (url, _):
        assert read(github(url)) == (None, ["GitHub: larger than Fashion-MNIST is"])


def test_a_busy_server_is_asked_again_and_one_that_has_no_such_file_is_not() -> None:
    left = [503, 429]
    with server(lambda path: (left.pop(), b"") if left else whole(path)) as (url, asked):
        data, _ = read(github(url))
    assert data is not None
    assert len(asked) == 2 + len(PACKED)
    with server(lambda path: (404, b"")) as (url, asked):
        data, said = read(github(url))
    assert data is None
    assert (len(asked), len(said)) == (1, 1)
    assert "404" in said[0]


def test_a_network_that_swallows_everything_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        data, said = read(github(url, Patience(answer_s=0.2, pauses_s=(60, 60))))
    assert data is None
    assert said[0].startswith("GitHub: ")
    assert len(said) == 1


def test_a_download_is_bounded_in_time_as_a_whole() -> None:
    with server(whole) as (url, _):
        assert read(github(url, Patience(total_s=0))) == (None, ["GitHub: too slow"])


def test_a_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(whole) as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        data, _ = read(github("http://fashion.invalid/"))
    assert data is not None
    assert asked == [f"http://fashion.invalid/{name}" for name in PACKED]


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "no address", "socks5://127.0.0.1:1", "ftp://127.0.0.1"])
def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    data, said = read(github("http://fashion.invalid/"))
    assert data is None
    assert len(said) == 1
    assert "\n" not in said[0]


# --- apt ---


@pytest.fixture
def apt_get(tmp_path: Path) -> Path:
    """Stands for apt-get: it knows the package, a real one, once its list has been refreshed."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb")
    tree = tmp_path / "tree"
    folder_of(tree / DEBIAN.relative_to("/"))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        "Package: dataset-fashion-mnist\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: photos\n"
    )
    subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "package.deb"], check=True, capture_output=True)
    program = tmp_path / "apt-get"
    program.write_text(f"""#!/bin/sh
cd {tmp_path}
echo "$1" >>asked
case $1 in
update) touch refreshed ;;
download)
    [ -e refreshed ] || {{ echo "E: Unable to locate package" >&2; exit 100; }}
    cp package.deb "$OLDPWD" ;;
esac
""")
    program.chmod(0o755)
    return program


def apt(program: Path, *, refresh: bool) -> Source:
    return Source("apt-get", partial(from_apt, apt_get=str(program), refresh=refresh), far=True)


def test_apts_package_is_unpacked_and_kept_after_its_list_is_refreshed_by_root(apt_get: Path) -> None:
    data, said = read(apt(apt_get, refresh=True))
    assert data is not None
    assert (data.origin, said) == ("apt-get", [])
    assert (data.splits["train"][1] == LABELS[:8]).all()
    assert (apt_get.parent / "asked").read_text().split() == ["download", "update", "download"]
    assert {path.name for path in kept_copy().iterdir()} == set(PACKED)


def test_another_than_root_refreshes_no_list(apt_get: Path) -> None:
    assert read(apt(apt_get, refresh=False)) == (None, ["apt-get: download: Unable to locate package"])
    assert (apt_get.parent / "asked").read_text().split() == ["download"]


def test_an_apt_that_hangs_is_given_up(apt_get: Path) -> None:
    apt_get.write_text("#!/bin/sh\nsleep 600\n")
    source = Source("apt-get", partial(from_apt, apt_get=str(apt_get), timeout_s=0.2), far=True)
    assert read(source) == (None, ["apt-get: download: not done within 0.2 s"])


def test_where_there_is_no_apt_nothing_is_said(tmp_path: Path) -> None:
    assert read(apt(tmp_path / "nothing", refresh=True)) == (None, [])


# --- the sample ---


@pytest.mark.slow
def test_where_no_source_has_it_the_sample_is_used_and_how_to_get_all_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    sources = [folder("Debian's package", tmp_path / "nothing"), github("http://127.0.0.1:1/")]
    data = read_whole_or_sample(sources, say=said.append)
    assert (data.size, data.origin) == (2_000, SAMPLE_SOURCE.name)
    assert np.bincount(data.splits["train"][1]).min() > 180
    assert len(said) == 2
    assert said[0].startswith("GitHub: train-images-idx3-ubyte.gz: ")
    assert "install Debian's package dataset-fashion-mnist" in said[1]
    rows = write_catalogue(tmp_path / "demo", data, photos=10_000).read_text().splitlines()
    assert len(rows) == 1 + 2_000
    assert not any("test" in row for row in rows), "the query is not in it"


def test_a_damaged_sample_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE_FOLDER, tmp_path / "sample")
    (tmp_path / "sample" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    data, said = read(folder("the sample", tmp_path / "sample"), files=SAMPLE)
    assert data is None
    assert said[0].startswith("the sample: train-images-idx3-ubyte.gz: not ")


def test_the_sample_is_small_and_has_its_licence_beside_it() -> None:
    assert sum(path.stat().st_size for path in SAMPLE_FOLDER.iterdir()) < 1_500_000
    assert "Copyright © 2017 Zalando SE" in (SAMPLE_FOLDER / "README.md").read_text()


def step(directory: Path, photos: int) -> list[str]:
    """The command of ``make demo``."""
    return [sys.executable, "-m", "examples.fashion_mnist", str(directory), "--photos", str(photos)]


@pytest.mark.slow
def test_without_a_network_or_a_package_the_demo_has_its_photos(tmp_path: Path) -> None:
    """In namespaces without a network and without what Debian's package installs."""
    hide = f"[ ! -d {DEBIAN} ] || mount -t tmpfs none {DEBIAN}"
    alone = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-ec"]
    if not shutil.which("unshare") or subprocess.run([*alone, hide], capture_output=True, check=False).returncode:
        pytest.skip("namespaces cannot be made here")
    command = [*alone, f'{hide}; exec "$@"', "sh", *step(tmp_path / "demo", 2_500)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2,000 photos, not 2,500, from the sample in examples/fashion_mnist/sample" in done.stderr
    assert len((tmp_path / "demo" / "fashion-mnist.csv").read_text().splitlines()) == 1 + 2_000
    assert (tmp_path / "demo" / "query.png").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("photos", [0, 70_001])
def test_a_number_of_photos_that_cannot_be_is_a_line_and_nothing_is_written(tmp_path: Path, photos: int) -> None:
    done = subprocess.run(step(tmp_path / "demo", photos), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: Invalid value for '--photos'")
    assert not (tmp_path / "demo").exists()


# --- the real one ---


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the package dataset-fashion-mnist")
def test_the_real_data_set_has_its_seventy_thousand_photos() -> None:
    train, test = load("train"), load("test")
    assert (train[0].shape, test[0].shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (np.bincount(train[1]) == 6_000).all()
    assert (np.bincount(test[1]) == 1_000).all()


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the package dataset-fashion-mnist")
def test_the_sample_is_the_beginning_of_the_real_data_set() -> None:
    made = sample_contents()
    packed = [(SAMPLE_FOLDER / file.packed_name).read_bytes() for file in SAMPLE]
    assert [gzip.decompress(data) for data in packed] == made
