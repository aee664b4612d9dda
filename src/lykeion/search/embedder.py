"""Photos to vectors: decoding, preprocessing and a network, as one thing with one digest.

Measured on two cores with EfficientNet-Lite0: one engine of one thread a core at batch 1 embeds as many photos a
second as larger batches do, and a second thread inside one engine is no quicker on a single photo. So an engine runs
one photo at a time on one thread, and callers bring the threads: while one decodes, another infers.
"""

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lykeion.core import digest_bytes, digest_json, write_atomically
from lykeion.engines import LiteRTEngine, ModelError, read_model, try_model
from lykeion.nets.store import DEFAULT, default_model, models_directory
from lykeion.vision import PREPROCESSING_VERSION, Box, ModelCard, decode, normalise


@dataclass(frozen=True, slots=True)
class Embedded:
    """A photo's vector, float32 (dimension,) of length 1, and its thumbnail (JPEG) where one was asked for."""

    vector: np.ndarray
    thumbnail: bytes | None


class Embedder:
    """A network with its card. Any number of threads may call it; as many work at once as there are cores.

    ``digest`` names what decides a vector: the model's bytes, the card and the version of the preprocessing. Vectors
    of different digests must not be compared.
    """

    def __init__(self, path: Path, card: ModelCard) -> None:
        """Raises ModelError where the file is no model, or not one that the card describes."""
        self.path, self.card, self.name, self.dimension = path, card, card.name, card.dimension
        # Read once: engines made later have the bytes that the digest is of, whatever happens to the file.
        self._model = read_model(path)
        _try_once(self._model, path)
        first = self._new_engine()
        _check(first, path, card)
        self.digest = embedder_digest(self._model, card)
        # Last in, first out, so that a warm engine is taken before a place (None) for a new one.
        self._engines: queue.LifoQueue[LiteRTEngine | None] = queue.LifoQueue()
        for engine in (*[None] * ((os.cpu_count() or 1) - 1), first):
            self._engines.put(engine)

    @classmethod
    def load(cls, spec: str | Path | None = None) -> "Embedder":
        """The default network (None, or its name), built on first use; or a ``.tflite`` file with a card.

        Raises ModelError, CardError, and WeightsError where the default's weights are not installed.
        """
        path = default_model() if spec is None or str(spec) == DEFAULT else Path(spec)
        if not path.is_file():
            raise ModelError(
                f"{path}: no such embedder; give {DEFAULT} or a .tflite file with its model card beside it"
            )
        return cls(path, ModelCard.for_model(path))

    def embed_photo(
        self, source: bytes | Path, *, name: str = "", box: Box | None = None, thumbnail: int | None = None
    ) -> Embedded:
        """Embed a photo, or the part of it in ``box``; ``thumbnail`` is the longer side in pixels.

        ``name`` is what an error calls the photo. Raises PhotoError.
        """
        decoded = decode(source, name=name, at_least=self.card.at_least, box=box)
        vector = self.embed(decoded.pixels(self.card)[np.newaxis])[0]
        return Embedded(vector, decoded.thumbnail(thumbnail) if thumbnail else None)

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Embed preprocessed photos: uint8 (n, height, width, channels) to float32 (n, dimension) of length 1."""
        vectors = np.empty((len(pixels), self.dimension), np.float32)
        with self._engine() as engine:
            for place in range(len(pixels)):
                batch = normalise(pixels[place : place + 1], self.card)
                vectors[place] = engine.run(batch)[self.card.output].reshape(-1)
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.path}: the network gave numbers that are not finite; it cannot embed")
        # A network may give zeros (an all-black photo through ReLU); they stay zeros.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)

    def _new_engine(self) -> LiteRTEngine:
        return LiteRTEngine(self._model, name=str(self.path))

    @contextmanager
    def _engine(self) -> Iterator[LiteRTEngine]:
        engine = self._engines.get()
        try:
            engine = engine or self._new_engine()
            yield engine
        finally:
            self._engines.put(engine)


def embedder_digest(model: bytes, card: ModelCard) -> str:
    """Of all that decides a vector; the words of a card (name, source, licence) do not."""
    deciding = {field: value for field, value in asdict(card).items() if field not in ("name", "source", "licence")}
    # A card may say 127 or 127.0, which JSON would tell apart.
    deciding |= {"mean": [float(x) for x in card.mean], "std": [float(x) for x in card.std]}
    deciding["crop_fraction"] = float(card.crop_fraction)
    return digest_json({"model": digest_bytes(model), "card": deciding, "preprocessing": PREPROCESSING_VERSION})


def _try_once(model: bytes, path: Path) -> None:
    """Run a file from elsewhere in a process of its own first; a mark remembers those that passed."""
    directory = models_directory()
    mark = directory / "tried" / digest_bytes(model).removeprefix("sha256:")
    if path.parent == directory or mark.exists():
        return
    try_model(model, str(path))
    with suppress(OSError):
        write_atomically(mark, b"", durable=False)


def _check(engine: LiteRTEngine, path: Path, card: ModelCard) -> None:
    """That the model takes and gives what the card says; one photo is run, for sizes that only a run tells."""
    channels = 1 if card.channels == "grey" else 3
    pixels = np.zeros((1, card.height, card.width, channels), np.uint8)
    outputs = engine.run(normalise(pixels, card))
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
