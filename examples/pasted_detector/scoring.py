"""How well a detector finds: average precision by category, as a device runs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from examples.fashion_mnist import CATEGORIES
from lykeion.device import Detection

from .scenes import Scene
from .training import overlaps

RIGHT = 0.5
"""A box is right from this share of intersection over union, if its label is (PASCAL VOC)."""


@dataclass(frozen=True, slots=True)
class DetectorScore:
    """``precision`` is the mean of the categories' average precisions; ``recall`` the share of things of which a box
    with a score of at least a half is right, ``located`` of which such a box is right but for its label."""

    precision: float
    recall: float
    located: float
    things: int


def score(scenes: Sequence[Scene], found: Sequence[Sequence[Detection]]) -> DetectorScore:
    """``found`` are all detections of each scene, best first, also those of low scores."""
    hits = {label: list[tuple[float, bool]]() for label in CATEGORIES}
    things, recalled, located = dict.fromkeys(CATEGORIES, 0), 0, 0
    for scene, detections in zip(scenes, found, strict=True):
        for label in scene.labels:
            things[CATEGORIES[label]] += 1
        boxes = np.array([(d.box.top, d.box.left, d.box.bottom, d.box.right) for d in detections], np.float32)
        shares = overlaps(boxes.reshape(-1, 4), scene.boxes)
        sure = [place for place, each in enumerate(detections) if each.score >= 0.5]
        located += int((shares[sure].max(axis=0, initial=0) >= RIGHT).sum())
        taken = set[int]()
        for place, detection in enumerate(detections):
            same = [
                thing for thing, label in enumerate(scene.labels)
                if label == detection.index and thing not in taken and shares[place, thing] >= RIGHT
            ]  # fmt: skip
            if same:
                taken.add(same[0])
                recalled += detection.score >= 0.5
            hits[CATEGORIES[detection.index]].append((detection.score, bool(same)))
    total = sum(things.values())
    means = [average_precision(hits[label], count) for label, count in things.items() if count]
    return DetectorScore(float(np.mean(means)), recalled / total, located / total, total)


def average_precision(hits: Sequence[tuple[float, bool]], things: int) -> float:
    """The area below the curve of precision over recall, each precision the best at that recall or a larger one."""
    right = np.array([hit for _, hit in sorted(hits, key=lambda each: -each[0])], bool)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / things)
