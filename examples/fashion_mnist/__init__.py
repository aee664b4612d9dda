"""A catalogue to try photo search on: Fashion-MNIST, 70,000 photos of clothes, shoes and bags from a shop.

``python -m examples.fashion_mnist DIR --photos 10000`` writes photos, a manifest and a query photo to DIR.

The photos are real, 28 x 28 pixels, grey, white on black (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747; MIT
licence). Their categories are the data set's labels. The prices are made up, so that filters have something to
filter; they depend on the photo's number alone.
"""

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion.core import Progress, Unavailable, cache_directory, digest_bytes, write_atomically

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
HOME = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
)
CATEGORIES = (
    "t-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
BASE_PRICES = (1500, 4000, 4500, 6000, 9000, 3000, 3500, 6500, 7000, 9500)
SIDE = 28


@dataclass(frozen=True, slots=True)
class Source:
    """One idx file. Size and digest are those of its content: Debian and GitHub compress it differently."""

    name: str
    size_bytes: int
    digest: str


SPLITS = {
    "train": (
        Source(
            "train-images-idx3-ubyte",
            47_040_016,
            "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        Source(
            "train-labels-idx1-ubyte",
            60_008,
            "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
    ),
    "test": (
        Source(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        Source(
            "t10k-labels-idx1-ubyte",
            10_008,
            "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}


class DataSetError(Unavailable):
    """The data set is neither installed nor downloadable, or is not the one it should be."""


def write_catalogue(directory: Path, photos: int = 10_000) -> Path:
    """Write the first ``photos`` photos and return their manifest, a CSV: id, path, category, split, price.

    Training photos come first, then test photos. ``query.png`` beside the manifest is the first test photo, so up
    to 60,000 photos do not contain it. Writing again gives the same files. Raises DataSetError.
    """
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["id", "path", "category", "split", "price"])
    with Progress("writing photos", photos, unit="photos") as progress:
        for split, number, image, label in itertools.islice(_photos(), photos):
            path = f"photos/{split}/{number // 1000:02}/{number:05}.png"
            file = directory / path
            if number % 1000 == 0:
                file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_png(image))
            price = made_up_price(split, number, label)
            table.writerow([f"{split}-{number:05}", path, CATEGORIES[label], split, price])
            progress.advance()
    images, _ = load("test")
    (directory / "query.png").write_bytes(_png(images[0]))
    manifest = directory / "fashion-mnist.csv"
    write_atomically(manifest, rows.getvalue().encode())
    return manifest


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 28, 28) and labels uint8 (n,), places in CATEGORIES, of "train" or "test"."""
    images, labels = (_content(source) for source in SPLITS[split])
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, SIDE, SIDE),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def made_up_price(split: str, number: int, label: int) -> int:
    """Half to one and a half times the category's base price, in tens."""
    share = zlib.crc32(f"{split}-{number}".encode()) / 2**32
    return round(BASE_PRICES[label] * (0.5 + share) / 10) * 10


def _photos() -> Iterator[tuple[str, int, np.ndarray, int]]:
    for split in SPLITS:
        images, labels = load(split)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield split, number, image, int(label)


def _content(source: Source) -> bytes:
    """The idx file, from Debian's package, from an earlier download, or downloaded now; checked every time."""
    name = source.name + ".gz"
    kept = cache_directory() / "datasets" / "fashion-mnist" / name
    if (DEBIAN / name).is_file():
        return _unpack((DEBIAN / name).read_bytes(), source, str(DEBIAN / name))
    if kept.is_file():
        return _unpack(kept.read_bytes(), source, str(kept))
    packed = _download(HOME + name, limit=source.size_bytes + 1024)  # gzip may add its header and trailer
    content = _unpack(packed, source, HOME + name)
    write_atomically(kept, packed)
    return content


def _unpack(packed: bytes, source: Source, where: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(packed)) as file:
            content = file.read(source.size_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataSetError(f"{where}: not a whole gzip file ({error}); delete it and try again") from error
    if digest_bytes(content) != source.digest:
        raise DataSetError(f"{where}: not the published Fashion-MNIST (its SHA-256 differs); delete it")
    return content


def _download(url: str, limit: int) -> bytes:
    import httpx

    parts: list[bytes] = []
    try:
        with httpx.stream("GET", url, timeout=30, follow_redirects=True) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                parts.append(part)
                limit -= len(part)
                if limit < 0:
                    raise DataSetError(f"{url}: larger than Fashion-MNIST is; not downloaded")
    except httpx.HTTPError as error:
        raise DataSetError(
            f"{url}: cannot be downloaded ({error}); on Debian, install the package dataset-fashion-mnist"
        ) from error
    return b"".join(parts)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
