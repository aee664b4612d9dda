"""Photos, categories and made-up prices as a folder and its manifest."""

import csv
import io
import itertools
import zlib
from pathlib import Path

import numpy as np

from lykeion.core import CONSOLE, write_atomically

from .dataset import DataSet
from .published import CATEGORIES

_BASE_PRICES = (1500, 4000, 4500, 6000, 9000, 3000, 3500, 6500, 7000, 9500)


def write_catalogue(directory: Path, data: DataSet, photos: int = 10_000) -> Path:
    """Write the first ``photos`` photos and return their manifest, a CSV: id, path, category, split, price.

    Training photos come first, then test photos. ``query.png`` beside the manifest is the first test photo, so up
    to 60,000 photos do not contain it. Writing again gives the same files.
    """
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["id", "path", "category", "split", "price"])
    chosen = itertools.islice(data.photos(), photos)
    with CONSOLE.progress("writing photos", min(photos, data.size), unit="photos") as progress:
        for split, number, image, label in chosen:
            path = f"photos/{split}/{number // 1000:02}/{number:05}.png"
            file = directory / path
            if number % 1000 == 0:
                file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_png(image))
            price = made_up_price(split, number, label)
            table.writerow([f"{split}-{number:05}", path, CATEGORIES[label], split, price])
            progress.advance()
    (directory / "query.png").write_bytes(_png(data.query))
    manifest = directory / "fashion-mnist.csv"
    write_atomically(manifest, rows.getvalue().encode())
    return manifest


def made_up_price(split: str, number: int, label: int) -> int:
    """Half to one and a half times the category's base price, in tens."""
    share = zlib.crc32(f"{split}-{number}".encode()) / 2**32
    return round(_BASE_PRICES[label] * (0.5 + share) / 10) * 10


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
