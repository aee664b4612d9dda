"""Answers to a camera's frames, for as long as it gives any: each about the newest frame there was."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from lykeion.core import Unavailable
from lykeion.device.device_client import Device

from .newest_frame import CameraFrame, newest_frames

Question = Literal["classify", "embed", "search"]


def live_answers(
    device: Device, frames: Iterable[np.ndarray], question: Question, model: str = ""
) -> Generator[dict[str, Any]]:
    """For each frame that there is time for: ``frame``, its number; ``ms``, what the answer took; and the answer, or
    ``error`` where a service could not be reached. Raises what the device's call raises."""
    ask: Callable[[np.ndarray], dict[str, Any]] = {
        "classify": lambda rgb: {"labels": [asdict(label) for label in device.classify(rgb, model=model)]},
        "embed": lambda rgb: {"vector": device.embed(rgb, model=model).tolist()},
        "search": lambda rgb: {"results": device.search(rgb, model=model, k=5)["results"]},
    }[question]
    for frame in newest_frames(frames):
        yield _answer(frame, ask)


def _answer(frame: CameraFrame, ask: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        answer = ask(frame.rgb)
    except Unavailable as error:
        answer = {"error": str(error)}
    return {"frame": frame.number, "ms": round(1e3 * (time.perf_counter() - began), 3), **answer}
