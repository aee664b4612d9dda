"""Photos to vectors: decoding, preprocessing and a network, identified by one digest."""

import itertools
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import digest_bytes, write_atomically
from lykeion.engines import ModelError, read_model
from lykeion.nets import DEFAULT_MODEL, built_directory, default_model
from lykeion.vision import Box, ModelCard, decode, embedding_space, normalise

from .embedder_engine import LITERT, MEASURED_FROM, EngineWish
from .engine_pool import EnginePool


@dataclass(frozen=True, slots=True)
class Embedded:
    """A photo's vector, float32 (dimension,) of length 1, and its thumbnail (JPEG) if requested."""

    vector: np.ndarray
    thumbnail: bytes | None


class Embedder:
    """A network with its card. Thread-safe; one calling thread per core keeps every core busy, as one decodes while
    another infers.

    ``digest`` covers everything that determines a vector: the model's bytes, the card and the preprocessing version.
    Vectors of different digests must not be compared. ``engine`` is what runs the network.
    """

    def __init__(self, path: Path, card: ModelCard, engine: EngineWish = LITERT) -> None:
        """Raises ModelError if the file is not a model or does not match the card, and what ``engine.find`` does."""
        self.path, self.card, self.name, self.dimension = path, card, card.name, card.dimension
        # Read once, so that later engines have the bytes of the digest even if the file changes.
        model = read_model(path)
        _try_once(model, path, card)
        self.digest = embedding_space(model, card)
        self.engine = engine.find(model, str(path), card)
        self._wish, self._model = engine, model
        self._photos = itertools.count(1) if engine.later and self.engine.open else None
        self._pool = EnginePool(self.engine.loader(model, str(path)))
        _check(self._pool, path, card)

    @classmethod
    def load(cls, spec: str | Path | None = None, engine: EngineWish = LITERT) -> "Embedder":
        """The default network (None, or its name), built on first use; or a ``.tflite`` file with a card.

        Raises ModelError, CardError, WeightsError if the default's weights are not installed, and what
        ``engine.find`` raises.
        """
        path = default_model() if spec is None or str(spec) == DEFAULT_MODEL else Path(spec)
        if not path.is_file():
            raise ModelError(
                f"{path}: no such embedder; give {DEFAULT_MODEL} or a .tflite file with its model card beside it"
            )
        return cls(path, ModelCard.for_model(path), engine)

    def embed_photo(
        self, source: bytes | Path, *, name: str = "", box: Box | None = None, thumbnail: int | None = None
    ) -> Embedded:
        """Embed a photo, or the part of it in ``box``; ``thumbnail`` is the longer side in pixels.

        ``name`` is the photo's name in errors. Raises PhotoError.
        """
        if self._photos and next(self._photos) == MEASURED_FROM:
            threading.Thread(target=self._measure, name="engine", daemon=True).start()
        with self._pool.at_work():
            decoded = decode(source, name=name, at_least=self.card.at_least, box=box)
            if thumbnail:  # while the photo is still in the cache
                pixels, small = decoded.pixels_and_thumbnail(self.card, thumbnail)
            else:
                pixels, small = decoded.pixels(self.card), None
            return Embedded(self._vectors(pixels[np.newaxis])[0], small)

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Embed preprocessed photos: uint8 (n, height, width, channels) to float32 (n, dimension) of length 1."""
        with self._pool.at_work():
            return self._vectors(pixels)

    def _measure(self) -> None:
        from .engine_measuring import measure_elsewhere

        measure_elsewhere(self.path, self.engine.precision)
        found = self._wish.find(self._model, str(self.path), self.card)
        if found.name != self.engine.name:
            self._pool = EnginePool(found.loader(self._model, str(self.path)))
        self.engine = found

    def _vectors(self, pixels: np.ndarray) -> np.ndarray:
        vectors = np.empty((len(pixels), self.dimension), np.float32)
        for place in range(len(pixels)):
            batch = normalise(pixels[place : place + 1], self.card)
            vectors[place] = self._pool.run(batch)[self.card.output].reshape(-1)
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.path}: the network's output is not finite, so it cannot embed photos")
        # A network may output zeros (an all-black photo through ReLU); they stay zeros.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


def describe_embedder(path: Path) -> dict[str, Any]:
    """Facts from a network's file and card, and the digest of its vectors. Raises ModelError, CardError."""
    card, model = ModelCard.for_model(path), read_model(path)
    return {
        "name": card.name,
        "path": str(path),
        "digest": embedding_space(model, card),
        "dimension": card.dimension,
        "size_bytes": len(model),
        "source": card.source,
        "licence": card.licence,
    }


def _try_once(model: bytes, path: Path, card: ModelCard) -> None:
    """Run an untrusted file in a separate process first; a marker file records those that passed."""
    mark = built_directory() / "tried" / digest_bytes(model).removeprefix("sha256:")
    if path.parent == built_directory() or mark.exists():
        return
    from lykeion.engines import try_model

    try_model(model, str(path), photo=_photo_shape(card))
    with suppress(OSError):
        write_atomically(mark, b"", durable=False)


def _photo_shape(card: ModelCard) -> tuple[int, int, int]:
    return card.height, card.width, 1 if card.channels == "grey" else 3


def _check(pool: EnginePool, path: Path, card: ModelCard) -> None:
    """Check the model's input and output against the card."""
    if not _fits(pool, card):
        _check_by_running(pool, path, card)


def _fits(pool: EnginePool, card: ModelCard) -> bool:
    """Whether the model states that it takes such photos and gives such vectors; it may leave sizes open."""
    vectors = [(spec.shape[1:], spec.dtype) for spec in pool.outputs if spec.name == card.output]
    photos = [(spec.shape[1:], spec.dtype) for spec in pool.inputs]
    return photos == [(_photo_shape(card), np.float32)] and vectors == [((card.dimension,), np.float32)]


def _check_by_running(pool: EnginePool, path: Path, card: ModelCard) -> None:
    pixels = np.zeros((1, *_photo_shape(card)), np.uint8)
    outputs = pool.run(normalise(pixels, card))
    if card.output not in outputs:
        raise ModelError(
            f"{path}: the card says output {card.output!r}, the model has {', '.join(map(repr, outputs))}"
        )
    output = outputs[card.output]
    if output.dtype != np.float32 or output.size != card.dimension:
        raise ModelError(
            f"{path}: the card says a float32 vector of {card.dimension}, output {card.output!r} is "
            f"{output.dtype} of shape {output.shape}"
        )
