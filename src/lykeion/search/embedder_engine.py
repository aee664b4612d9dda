"""Which engine runs an embedder's network on this machine: the one named, or the fastest by measurement."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from lykeion.core import Unsupported
from lykeion.vision import ModelCard, normalise

if TYPE_CHECKING:
    from lykeion.engines import Engine
    from lykeion.engines.choosing import EngineRace, ModelFile

EmbedPrecision: TypeAlias = Literal["exact", "fast"]
"""``exact``: vectors as of LiteRT, in the file's own precision. ``fast``: bfloat16 or float16 too, for queries."""
AUTO, DEFAULT_ENGINE = "auto", "litert"
_ENGINES: dict[EmbedPrecision, tuple[str, ...]] = {
    "exact": (DEFAULT_ENGINE, "onnxruntime", "openvino"),
    "fast": (DEFAULT_ENGINE, "onnxruntime", "openvino", "openvino-fast"),
}
_LEAST_COSINE: dict[EmbedPrecision, float] = {"exact": 0.9999, "fast": 0.99}
MEASURED_FROM = 1_000
"""From so many photos on, finding the fastest engine is worth its seconds."""
_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class EmbedderEngine:
    """The engine by name, and the smallest cosine of its vectors to LiteRT's on generated photos, if measured.
    ``open``: it is LiteRT for now, since which is fastest is not known yet."""

    name: str = DEFAULT_ENGINE
    precision: EmbedPrecision = "exact"
    cosine: float = 1.0
    open: bool = False

    def loader(self, model: bytes, name: str) -> "Callable[[int], Engine]":
        """Loads the model with a number of threads; ``name`` is the model's in errors. Raises ModelError, Unsupported
        if the engine is not installed."""
        if self.name == DEFAULT_ENGINE:  # which is imported fastest
            from lykeion.engines import LiteRTEngine

            return lambda threads: LiteRTEngine(model, threads=threads, name=name)
        from lykeion.engines.running import find_kind

        kind = find_kind(self.name)
        return lambda threads: kind.load(model, threads=threads, name=name)


@dataclass(frozen=True, slots=True)
class EngineWish:
    """The engine to take: by its name, or ``auto``, the fastest whose vectors agree with LiteRT's.

    Which that is, is remembered for this machine, model and the engines installed. If it is not known yet, it is
    measured, which takes seconds, after ``measuring`` was told why; or without ``measure`` LiteRT is taken, and with
    ``later`` only until another process has measured it, which begins at the thousandth photo.
    """

    name: str = DEFAULT_ENGINE
    precision: EmbedPrecision = "exact"
    measure: bool = True
    later: bool = False
    measuring: Callable[[str], object] = lambda why: None

    def find(self, content: bytes, path: str, card: ModelCard) -> EmbedderEngine:
        """The engine for a model of these bytes. Raises UnknownEngine, ModelError, and Unsupported for an engine that
        is not installed, or not for embedders."""
        if self.name == DEFAULT_ENGINE:
            return EmbedderEngine(precision=self.precision)
        if self.name != AUTO:
            return _named(self.name, self.precision)
        race = _race(card, self.precision)
        if len(race.kinds) == 1:
            return EmbedderEngine(precision=self.precision)
        from lykeion.engines.choosing import ModelFile

        return self._fastest(race, ModelFile(path, content), card.name)

    def _fastest(self, race: "EngineRace", model: "ModelFile", title: str) -> EmbedderEngine:
        from lykeion.engines.choosing import NothingRemembered
        from lykeion.engines.running import UnknownEngine

        try:
            chosen = race.remembered(model)
        except (NothingRemembered, UnknownEngine):
            if not self.measure:
                return EmbedderEngine(precision=self.precision, open=True)
            self.measuring(f"finding, once, which engine runs {title} fastest here")
            chosen = race.run(model)
        return EmbedderEngine(chosen.name, self.precision, chosen.cosine)


LITERT = EngineWish()


def sample_pixels(card: ModelCard) -> np.ndarray:
    """Generated photos, uint8 (8, height, width, channels): coarse and fine patches of colour, as in photos."""
    channels = 1 if card.channels == "grey" else 3
    photos = np.zeros((_SAMPLES, card.height, card.width, channels), np.float32)
    generator = np.random.default_rng(0)
    for photo in photos:
        photo += generator.uniform(40, 215, channels).astype(np.float32)
        for cells in (2, 5, 12, 30, 75):
            rows, columns = (np.arange(side) * cells // side for side in photo.shape[:2])
            patches = generator.normal(0, 90 / cells**0.5, (cells, cells, channels)).astype(np.float32)
            photo += patches[rows][:, columns]
    return photos.clip(0, 255).astype(np.uint8)


def _named(name: str, precision: EmbedPrecision) -> EmbedderEngine:
    from lykeion.engines.running import find_kind

    kind, allowed = find_kind(name), _ENGINES[precision]
    if name not in allowed:
        why = "needs --embed-precision fast" if name in _ENGINES["fast"] else "does not run embedders"
        raise Unsupported(f"{name} {why}; there are {', '.join(allowed)}")
    kind.imported()
    return EmbedderEngine(name, precision)


def _race(card: ModelCard, precision: EmbedPrecision) -> "EngineRace":
    from lykeion.engines.choosing import EngineRace
    from lykeion.engines.running import find_kind

    kinds = [kind for kind in map(find_kind, _ENGINES[precision]) if kind.installed]
    return EngineRace(kinds, card.output, normalise(sample_pixels(card), card), _LEAST_COSINE[precision])
