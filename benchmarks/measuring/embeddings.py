"""Vectors of real photos: Fashion-MNIST through the default embedder, and as many more as are wanted, perturbed."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from lykeion.core import Progress
from lykeion.search.embedder import Embedder
from lykeion.search.fashion_mnist import load
from measuring.machine import cores

_PART = 1_000
_CHUNK = 25_000
NOISE = 0.2
"""Length of what is added to a vector of length 1."""


def embeddings(embedder: Embedder, photos: int, work: Path) -> np.ndarray:
    """float32 (photos, dimension); embedded once and kept in the work directory, a thousand a file."""
    images = np.concatenate([load("train")[0], load("test")[0]])[:photos]
    directory = work / "embeddings" / embedder.digest.removeprefix("sha256:")[:12]
    directory.mkdir(parents=True, exist_ok=True)
    parts = []
    with ThreadPoolExecutor(cores()) as pool, Progress("embedding photos", len(images), unit="photos") as progress:
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
    """(first row, float32 (rows, dimension)) of ``count`` vectors: those given, then noisy copies of them in turn."""
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        noise = np.random.default_rng(start).standard_normal((len(rows), vectors.shape[1]), np.float32)
        noise *= NOISE / np.sqrt(vectors.shape[1]) * (rows >= len(vectors))[:, None]
        chunk = vectors[rows % len(vectors)] + noise
        yield start, (chunk / np.linalg.norm(chunk, axis=1, keepdims=True)).astype(np.float32)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
