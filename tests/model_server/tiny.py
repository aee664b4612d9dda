"""A classifier of photos of 8×8, real from the flatbuffer on, and engines that a test holds up."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lykeion.engines import LiteRTEngine, TensorSpec
from lykeion.engines.choosing import ModelFile
from lykeion.inputs import ServableModel
from lykeion.model_server.engine_choice import EngineChoice
from lykeion.model_server.engine_lanes import LaneEngines, load_lanes
from lykeion.model_server.row_queue import RowPlan
from lykeion.model_server.served_model import ServedModel
from lykeion.nets import LOGITS, Architecture, Convolution, random_weights, write_litert
from lykeion.vision import ModelCard

LABELS = ("boot", "bag", "shirt", "coat")
NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=len(LABELS))
CONTENT = write_litert(NETWORK, random_weights(NETWORK), output=LOGITS)
CARD = ModelCard("tiny", 8, 8, "RGB", (127.5,) * 3, (127.5,) * 3, "centre", 1.0, "logits", len(LABELS))
DIGEST = "sha256:" + "5" * 64
PLAN = RowPlan(together=4, least=3)


def source(*, card: ModelCard | None = CARD, labels: tuple[str, ...] = LABELS) -> ServableModel:
    return ServableModel("tiny", DIGEST, ModelFile("tiny", CONTENT), card, labels)


def served(model: ServableModel | None = None, *, plan: RowPlan = PLAN, waiting: int = 8) -> ServedModel:
    """On two engines."""
    lanes = load_lanes(lambda threads: LiteRTEngine(CONTENT, threads=threads), 2, 2, plan)
    return ServedModel(model or source(), EngineChoice("litert", 2, plan), lanes, waiting=waiting)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


def logits(values: np.ndarray) -> np.ndarray:
    """Of the bare engine."""
    engine = LiteRTEngine(CONTENT)
    return np.concatenate([engine.run(values[n : n + 1])["logits"] for n in range(len(values))])


def png(seed: int = 0, size: tuple[int, int] = (20, 12)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class HeldEngine:
    """Doubles its input, once it may go on. ``batches`` are the numbers of rows that it was given."""

    inputs = outputs = (TensorSpec("x", (-1, 2), np.dtype(np.float32)),)

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.goes_on, self.runs = threading.Semaphore(0), threading.Semaphore(0)

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(values[0]))
        self.runs.release()
        self.goes_on.acquire()
        return {"x": 2 * values[0]}

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        raise NotImplementedError

    def close(self) -> None: ...


def lane(engine: HeldEngine) -> LaneEngines:
    return LaneEngines(engine, engine, engine)


def write_files(directory: Path) -> Path:
    """The model's file, with its card beside it."""
    path = directory / "tiny.tflite"
    path.write_bytes(CONTENT)
    path.with_suffix(".json").write_text(CARD.to_json())
    return path
