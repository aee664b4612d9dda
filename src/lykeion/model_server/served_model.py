"""A model that is served: its engines, and what is known of it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from lykeion.engines.running import encoded, find_kind, noise, usual_kinds
from lykeion.inputs import ServableModel
from lykeion.web_kit import ServerSettings

from .batcher import Batcher
from .engine_choice import EngineChoice, EngineSearch
from .engine_lanes import LaneEngines, load_lanes
from .errors import LacksPart
from .model_signature import signature_of
from .photo_rows import PhotoRows, photo_shape
from .row_queue import Outputs

MAX_BATCH = 8


class ServedModel:
    """Close it at the end. ``version`` is the model's digest."""

    def __init__(
        self, source: ServableModel, choice: EngineChoice, lanes: Sequence[LaneEngines], *, waiting: int
    ) -> None:
        """Raises CannotServe if model, card and labels do not fit together; ModelError."""
        self.name, self.version, self.labels, self.choice = source.name, source.digest, source.labels, choice
        engine = lanes[0].single
        values = encoded(engine.inputs, noise(engine.inputs, photo=_photo(source)))
        self.signature = signature_of(engine.inputs, values, engine.outputs, engine.run(*values), source.labels)
        self._photos = PhotoRows(source.card, self.signature.inputs[0]) if source.card else None
        self.photos_at_once = max(len(lanes), choice.plan.together)
        self.batcher = Batcher(lanes, choice.plan, waiting=waiting)

    @property
    def metadata(self) -> dict[str, Any]:
        """As the protocol has it; ``parameters`` are ours."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": f"{self.choice.kind}_tflite",
            "inputs": [each.metadata for each in self.signature.inputs],
            "outputs": [each.metadata for each in self.signature.outputs],
            "parameters": {
                "engine": self.choice.kind,
                "threads": self.choice.threads,
                "max_batch": self.choice.plan.together,
                "takes_photos": self._photos is not None,
                "labels": len(self.labels),
            },
        }

    def prepare(self, photo: bytes, name: str) -> np.ndarray:
        """A photo as one row of the input; ``name`` is the photo's in errors. Raises PhotoError, LacksPart."""
        if self._photos is None:
            raise LacksPart(f"{self.name} has no model card, which says how photos are prepared; send tensors")
        return self._photos.prepare(photo, name)

    async def run(self, *values: np.ndarray) -> Outputs:
        """As ``Batcher.run``."""
        return await self.batcher.run(*values)

    def close(self) -> None:
        self.batcher.close()


def open_served(
    source: ServableModel, settings: ServerSettings, *, engine: str | None = None, max_batch: int = MAX_BATCH
) -> ServedModel:
    """Load the model into the engine that is named, or is the fastest here of those installed.

    Raises UnknownEngine, ModelError, Unsupported, CannotServe.
    """
    kinds = (find_kind(engine),) if engine else usual_kinds()
    choice = EngineSearch(kinds, settings.threads, max_batch, _photo(source)).choose(source.file)
    load = partial(find_kind(choice.kind).load, source.file.content, name=source.name)
    lanes = load_lanes(lambda threads: load(threads=threads), settings.threads, choice.threads, choice.plan)
    return ServedModel(source, choice, lanes, waiting=settings.waiting)


def _photo(source: ServableModel) -> tuple[int, ...]:
    return photo_shape(source.card) if source.card else ()
