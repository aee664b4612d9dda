"""A detector's outputs as boxes in the photo: decoded, the best of those that overlap kept."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lykeion.device.box_layout import BoxLayout
from lykeion.device.companion import Companion
from lykeion.litert import ModelError
from lykeion.vision import Box, seen_region

MOST = 100
OVERLAP = 0.5
"""Of two boxes of a class whose intersection is a larger share of their union, the better one is kept."""


@dataclass(frozen=True, slots=True)
class Detection:
    """``box`` is in pixels of the upright photo; ``score`` is from 0 to 1; ``label`` is empty if there are none."""

    label: str
    index: int
    score: float
    box: Box


def detections(
    companion: Companion, outputs: Mapping[str, np.ndarray], width: int, height: int, least_score: float
) -> list[Detection]:
    """In a photo of ``width`` by ``height`` pixels, best first, at most MOST. Raises ModelError."""
    layout = companion.boxes
    assert layout is not None
    boxes, classes, scores = (_of_anchors if layout.layout == "anchors" else _of_operator)(
        layout, outputs, least_score
    )
    left, top, right, bottom = seen_region(width, height, companion.card)
    scale = np.array([bottom - top, right - left] * 2, np.float64)
    pixels = np.rint(boxes * scale + np.array([top, left] * 2)).clip(-1e6, 1e6).astype(int)
    found = list[Detection]()
    for (y0, x0, y1, x1), index, score in zip(pixels.tolist(), classes.tolist(), scores.tolist(), strict=True):
        if box := Box(x0, y0, x1, y1).within(width, height):
            label = companion.labels[index] if index < len(companion.labels) else ""
            found.append(Detection(label, index, score, box))
    return found[:MOST]


_Boxes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes (n, 4) as shares of the input, classes (n,) and scores (n,), best first."""


def _of_operator(layout: BoxLayout, outputs: Mapping[str, np.ndarray], least_score: float) -> _Boxes:
    boxes, classes, scores, counts = (_output(outputs, layout, n) for n in ("boxes", "classes", "scores", "count"))
    boxes, classes, scores = boxes.reshape(-1, 4), classes.reshape(-1), scores.reshape(-1)
    count = int(np.clip(counts.reshape(-1)[0], 0, min(len(boxes), len(classes), len(scores))))
    return _sorted(boxes[:count], classes[:count].astype(int), scores[:count], least_score)


def _of_anchors(layout: BoxLayout, outputs: Mapping[str, np.ndarray], least_score: float) -> _Boxes:
    anchors = layout.anchors.astype(np.float64)
    offsets = _output(outputs, layout, "boxes").reshape(-1, 4)
    scores = _output(outputs, layout, "scores").reshape(len(offsets), -1)[:, int(layout.background) :]
    if len(offsets) != len(anchors) or not scores.shape[1]:
        raise ModelError(f"a detector with {len(offsets):,} boxes comes with {len(anchors):,} anchors")
    if layout.logits:
        scores = 1 / (1 + np.exp(-scores.astype(np.float64).clip(-60, 60)))
    classes, best = scores.argmax(axis=1), scores.max(axis=1)
    kept = np.flatnonzero(best >= least_score)
    boxes = _decoded(offsets[kept] / np.array(layout.scales), anchors[kept])
    return _apart(*_sorted(boxes, classes[kept], best[kept], least_score))


def _decoded(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    centres = anchors[:, :2] + offsets[:, :2] * anchors[:, 2:]
    halves = np.exp(offsets[:, 2:].clip(-20, 20)) * anchors[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _sorted(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray, least_score: float) -> _Boxes:
    sound = np.isfinite(boxes).all(axis=1) & (scores >= least_score) & (classes >= 0)
    boxes, classes, scores = boxes[sound], classes[sound], scores[sound]
    order = np.argsort(-scores, kind="stable")[: 10 * MOST]
    return boxes[order], classes[order], scores[order]


def _apart(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> _Boxes:
    """Without boxes that overlap a better one of their class."""
    kept = list[int]()
    areas = np.prod((boxes[:, 2:] - boxes[:, :2]).clip(0), axis=1)
    for place in range(len(boxes)):
        others = [other for other in kept if classes[other] == classes[place]]
        shared = np.prod(
            (np.minimum(boxes[others, 2:], boxes[place, 2:]) - np.maximum(boxes[others, :2], boxes[place, :2])).clip(
                0
            ),
            axis=1,
        )
        if not (shared > OVERLAP * (areas[others] + areas[place] - shared)).any():
            kept.append(place)
        if len(kept) == MOST:
            break
    return boxes[kept], classes[kept], scores[kept]


def _output(outputs: Mapping[str, np.ndarray], layout: BoxLayout, name: str) -> np.ndarray:
    if (own := layout.outputs[name]) not in outputs:
        raise ModelError(f"its companion names the output {own[:60]!r}, which the network lacks")
    return outputs[own]
