"""A written detector, run as a device runs it on scenes of photos that it was not trained on."""

from pathlib import Path

import numpy as np

from examples.fashion_mnist.dataset import Split
from lykeion.core import digest_bytes, read_json
from lykeion.device import Companion, LoadedModel, RecordError, SignedTarget, boxes_of
from lykeion.nets.training import read_classes
from lykeion.vision import ModelCard

from .network import HEIGHT, WIDTH
from .scenes import random_scene
from .scoring import DetectorScore, score

LEAST = 0.05
"""Boxes of lower scores are left out of the average precision."""


def load(path: Path) -> LoadedModel:
    """Without a signature or a repository: a device's ``device.model(NAME)`` is the same."""
    content, layout = path.read_bytes(), path.with_name("detector.boxes.json")
    boxes = boxes_of(read_json(layout, RecordError, "layout of boxes"), str(layout))
    companion = Companion(ModelCard.for_model(path), read_classes(path.parent), boxes=boxes)
    digest = digest_bytes(content)
    target = SignedTarget("detector", 1, digest, "any", "litert", 1, "2.0", "3", digest, len(content), "none")
    return LoadedModel(target, content, companion.to_bytes())


def measure(path: Path, split: Split, scenes: int, rng: np.random.Generator) -> DetectorScore:
    """Raises ModelError, RecordError, CardError."""
    model = load(path)
    made = [random_scene(rng, *split, HEIGHT, WIDTH) for _ in range(scenes)]
    frames = (np.repeat(scene.pixels[..., None], 3, axis=-1) for scene in made)
    return score(made, [model.detect(frame, LEAST) for frame in frames])
