import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from examples import fashion_mnist
from examples.fashion_mnist import CATEGORIES, DataSetError, Source
from lykeion.core import digest_bytes

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10
CONTENT = {
    "train-images-idx3-ubyte": b"\0" * 16 + IMAGES[:8].tobytes(),
    "train-labels-idx1-ubyte": b"\0" * 8 + LABELS[:8].tobytes(),
    "t10k-images-idx3-ubyte": b"\0" * 16 + IMAGES[8:].tobytes(),
    "t10k-labels-idx1-ubyte": b"\0" * 8 + LABELS[8:].tobytes(),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of 8 + 4 photos where Debian's package would be."""
    sources = [Source(name, len(data), digest_bytes(data)) for name, data in CONTENT.items()]
    monkeypatch.setattr(fashion_mnist, "SPLITS", {"train": sources[:2], "test": sources[2:]})
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "state"))
    (tmp_path / "debian").mkdir()
    for name, data in CONTENT.items():
        (tmp_path / "debian" / f"{name}.gz").write_bytes(gzip.compress(data))
    return tmp_path


@contextmanager
def home(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The data set's public home, on this machine. Yields the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = files.get(self.path.removeprefix("/"))
            self.send_response(404 if data is None else 200)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fashion_mnist, "HOME", f"http://127.0.0.1:{server.server_port}/")
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def test_the_catalogue_lists_each_photo_with_category_split_and_price(small: Path) -> None:
    manifest = fashion_mnist.write_catalogue(small / "demo", photos=10)
    rows = list(csv.DictReader(io.StringIO(manifest.read_text())))
    assert [row["id"] for row in rows] == [f"train-{n:05}" for n in range(8)] + ["test-00000", "test-00001"]
    assert [row["category"] for row in rows] == [CATEGORIES[label] for label in LABELS[:10]]
    assert all(int(row["price"]) > 0 for row in rows)
    for row, image in zip(rows, IMAGES, strict=False):
        assert (np.asarray(Image.open(manifest.parent / row["path"])) == image).all()


def test_the_query_is_the_first_test_photo(small: Path) -> None:
    fashion_mnist.write_catalogue(small / "demo", photos=2)
    assert (np.asarray(Image.open(small / "demo" / "query.png")) == IMAGES[8]).all()


def test_writing_again_gives_the_same_catalogue(small: Path) -> None:
    first = fashion_mnist.write_catalogue(small / "demo", photos=9).read_bytes()
    assert fashion_mnist.write_catalogue(small / "demo", photos=9).read_bytes() == first


def test_a_file_that_differs_from_the_published_one_is_refused_by_name(small: Path) -> None:
    file = small / "debian" / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(b"\1" + CONTENT["train-images-idx3-ubyte"][1:]))
    with pytest.raises(DataSetError, match=r"train-images-idx3-ubyte\.gz: not the published"):
        fashion_mnist.load("train")


def test_a_truncated_file_is_refused_by_name(small: Path) -> None:
    file = small / "debian" / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataSetError, match=r"train-images-idx3-ubyte\.gz: not a whole gzip file"):
        fashion_mnist.load("train")


def test_without_the_package_it_is_downloaded_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", small / "nothing")
    with home({f"{n}.gz": gzip.compress(d) for n, d in CONTENT.items()}, monkeypatch) as asked:
        images, labels = fashion_mnist.load("train")
        fashion_mnist.load("train")
    assert (images == IMAGES[:8]).all()
    assert (labels == LABELS[:8]).all()
    assert asked == ["/train-images-idx3-ubyte.gz", "/train-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize("answer", [None, b"x" * 100_000, gzip.compress(b"something else")])
def test_a_wrong_download_is_an_error_and_is_not_kept(
    small: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", small / "nothing")
    files = {} if answer is None else {"train-images-idx3-ubyte.gz": answer}
    with home(files, monkeypatch), pytest.raises(DataSetError, match="train-images-idx3-ubyte"):
        fashion_mnist.load("train")
    assert not list((small / "state").rglob("*.gz"))


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="needs the package dataset-fashion-mnist")
def test_the_real_data_set_has_its_seventy_thousand_photos() -> None:
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    assert (train[0].shape, test[0].shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (np.bincount(train[1]) == 6_000).all()
    assert (np.bincount(test[1]) == 1_000).all()
