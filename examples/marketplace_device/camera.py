"""The device that has the camera: its live answers, how long they took, and whether they were right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lykeion.core import Unavailable
from lykeion.device import Device, live_answers, video_frames

from .film import Film

PARTS = ("detect", "embed", "ask")


class NoAnswers(Unavailable):
    """The service did not answer the camera."""


@dataclass(frozen=True, slots=True)
class LiveAnswers:
    """``answers`` are those of ``live_answers``; the others are medians in ms, and shares of the answers."""

    answers: Sequence[dict[str, Any]]
    end_to_end_ms: float
    parts_ms: dict[str, float]
    found: float
    category: float
    first: float
    among_five: float


def watch(device: Device, film: Film) -> LiveAnswers:
    """All of the film at its own speed. The first answer is left out of the times: models are loaded for it. Raises
    NoAnswers."""
    answers = list(live_answers(device, video_frames(film.path), "search", "embedder", "detector"))
    answered = [answer for answer in answers if "parts_ms" in answer]
    if not answered:
        raise NoAnswers(
            f"none of {len(answers)} frames was answered: {answers[0]['error'] if answers else 'no frame'}"
        )
    timed = [answer for answer in answered[1:] if "box" in answer] or answered
    ids = [[each["id"] for each in answer.get("results", ())] for answer in answers]
    first = [[each["attributes"]["category"] for each in answer.get("results", ())][:1] for answer in answers]
    wanted = [film.categories[answer["frame"]] for answer in answers]
    shown = [film.shown[answer["frame"]] for answer in answers]
    return LiveAnswers(
        answers,
        float(np.median([answer["ms"] for answer in timed])),
        {part: float(np.median([answer["parts_ms"].get(part, 0.0) for answer in timed])) for part in PARTS},
        float(np.mean(["box" in answer for answer in answers])),
        float(np.mean([[category] == found for category, found in zip(wanted, first, strict=True)])),
        float(np.mean([product in found[:1] for product, found in zip(shown, ids, strict=True)])),
        float(np.mean([product in found for product, found in zip(shown, ids, strict=True)])),
    )
