"""A model in memory, as its companion says: photos and frames to vectors, labels, or boxes."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lykeion.core import Unsupported
from lykeion.device.companion import read_companion
from lykeion.device.signed_target import SignedTarget
from lykeion.litert import ModelError
from lykeion.vision import PREPROCESSING_VERSION, Box, Decoded, decode, from_rgb, normalise

if TYPE_CHECKING:
    from lykeion.engines.running import Engine

    from .detections import Detection

Photo: TypeAlias = bytes | Path | np.ndarray
"""A file's bytes or path, or a frame: uint8 (height, width, 3)."""

LABELS_ONLY = ("mediapipe",)
"""Engines that prepare photos themselves: their vectors are not those of an index, to the bit."""


@dataclass(frozen=True, slots=True)
class PhotoLabel:
    """``score`` is the network's own number, in real numbers where its output is quantized."""

    label: str
    index: int
    score: float


class LoadedModel:
    """A version that runs. Safe among threads, which take turns in the engine; each decodes for itself."""

    def __init__(self, target: SignedTarget, content: bytes, companion: bytes) -> None:
        """Raises ModelError, RecordError; Unsupported if the engine is not installed."""
        from lykeion.engines.running import find_kind

        if not companion:
            raise ModelError(f"{target.path}: nothing says how photos are prepared for it; publish it with its card")
        self.target, self.companion = target, read_companion(companion)
        self.card = self.companion.card
        self._turn = threading.Lock()
        self.engine: Engine = find_kind(target.engine).load(content, threads=target.threads, name=target.path)

    @property
    def space(self) -> str:
        """The embedding space of its vectors; empty where they are of none that an index may have, also because this
        software prepares photos by another version than the space is of."""
        if self.target.engine in LABELS_ONLY or self.companion.preprocessing != PREPROCESSING_VERSION:
            return ""
        return self.target.space

    def embed(self, photo: Photo, box: Box | None = None) -> np.ndarray:
        """The vector, float32 (dimension,) of length 1, or zeros if the network gives only zeros.

        Raises Unsupported, PhotoError, ModelError.
        """
        if self.target.engine in LABELS_ONLY:
            raise Unsupported(
                f"{self.target.path} runs on {self.target.engine}: vectors for an index come from LiteRT"
            )
        vector = self._output(photo, box)
        if not np.isfinite(vector).all():
            raise ModelError(f"{self.target.path}: its output is not finite")
        return vector / np.maximum(np.linalg.norm(vector), np.finfo(np.float32).tiny)

    def classify(self, photo: Photo, k: int = 5, box: Box | None = None) -> list[PhotoLabel]:
        """The ``k`` labels with the largest scores, best first. Raises Unsupported, PhotoError, ModelError."""
        labels = self.companion.labels
        if self.companion.boxes:
            raise Unsupported(f"{self.target.path} is no classifier but a detector")
        scores = self._output(photo, box)
        if len(labels) != len(scores):
            raise Unsupported(f"{self.target.path} is no classifier: {len(labels)} labels for {len(scores)} numbers")
        places = np.argsort(-scores, kind="stable")[:k]
        return [PhotoLabel(labels[place], int(place), float(scores[place])) for place in places]

    def detect(self, photo: Photo, least_score: float = 0.5) -> "list[Detection]":
        """What is seen where, best first. Raises Unsupported, PhotoError, ModelError."""
        from .detections import detections

        if self.companion.boxes is None:
            raise Unsupported(f"{self.target.path} is no detector: nothing says how its outputs are boxes")
        decoded = self.decoded(photo)
        specs = {spec.name: spec for spec in self.engine.outputs}
        outputs = {name: specs[name].decode(values) for name, values in self.outputs(decoded).items()}
        return detections(self.companion, outputs, decoded.width, decoded.height, least_score)

    def decoded(self, photo: Photo, box: Box | None = None) -> Decoded:
        """Raises PhotoError."""
        if isinstance(photo, np.ndarray):
            return from_rgb(photo, box=box)
        return decode(photo, at_least=self.card.at_least, box=box)

    def close(self) -> None:
        with self._turn:
            self.engine.close()

    def _output(self, photo: Photo, box: Box | None) -> np.ndarray:
        """The output that the card names, float32 (dimension,): real numbers where it is quantized."""
        spec = next((spec for spec in self.engine.outputs if spec.name == self.card.output), None)
        if spec is None:
            raise ModelError(
                f"{self.target.path}: its card names the output {self.card.output[:60]!r}, which it lacks"
            )
        return spec.decode(self.outputs(self.decoded(photo, box))[spec.name]).reshape(-1)

    def outputs(self, decoded: Decoded) -> dict[str, np.ndarray]:
        """What the network gives for a photo, by name. Raises ModelError."""
        values = normalise(decoded.pixels(self.card)[np.newaxis], self.card)
        with self._turn:
            return self.engine.run(self.engine.inputs[0].encode(values))
