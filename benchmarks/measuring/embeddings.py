"""Vectors of real photos: Fashion-MNIST through the default embedder, and as many more as are wanted, perturbed."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from examples.fashion_mnist import load
from lykeion.core import CONSOLE, core_count
from lykeion.search import Embedder

_PART = 1_000
_CHUNK = 25_000
MOVED = 0.3
"""How far a copy is moved: of the difference between two vectors."""


def embeddings(embedder: Embedder, photos: int, work: Path) -> np.ndarray:
    """float32 (photos, dimension); embedded once and kept in the work directory, a thousand a file."""
    images = np.concatenate([load("train")[0], load("test")[0]])[:photos]
    directory = work / "embeddings" / embedder.digest.removeprefix("sha256:")[:12]
    directory.mkdir(parents=True, exist_ok=True)
    parts = []
    with (
        ThreadPoolExecutor(core_count()) as pool,
        CONSOLE.progress("embedding photos", len(images), unit="photos") as progress,
    ):
        for start in range(0, len(images), _PART):
            part = images[start : start + _PART]
            path = directory / f"{start:05}-{len(part)}.npy"
            if not path.exists():
                vectors = np.stack([*pool.map(lambda image: embedder.embed_photo(_png(image)).vector, part)])
                temporary = path.with_name("part.npy")
                np.save(temporary, vectors)
                temporary.replace(path)
            parts.append(np.load(path))
            progress.advance(len(part))
    return np.concatenate(parts)


def perturbed(vectors: np.ndarray, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float32 (rows, dimension)) of ``count`` vectors: those given, then copies of them in turn.

    A copy is moved along the difference of two other vectors, so that it differs as real vectors differ.
    """
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        first, second = np.random.default_rng(start).integers(0, len(vectors), (2, len(rows)))
        moved = np.float32(MOVED) * (vectors[first] - vectors[second]) * (rows >= len(vectors))[:, None]
        chunk = vectors[rows % len(vectors)] + moved
        yield start, chunk / np.linalg.norm(chunk, axis=1, keepdims=True)


def write_queries(folder: Path, count: int) -> None:
    """Photos of the catalogue as if retaken: enlarged to 640², turned, with a sensor's noise; JPEG, quality 90."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    for number, image in enumerate(load("train")[0][:count]):
        photo = Image.fromarray(image).resize((640, 640), Image.Resampling.BICUBIC)
        turned = np.asarray(photo.rotate(random.uniform(-10, 10)), np.float32)[..., None]
        noisy = turned + random.normal(0, 5, (640, 640, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.jpg", quality=90)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
