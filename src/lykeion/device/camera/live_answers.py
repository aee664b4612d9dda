"""Answers to a camera's frames, for as long as it gives any: each about the newest frame there was."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from lykeion.core import Unavailable
from lykeion.device.device_client import Device
from lykeion.vision import Box

from .newest_frame import CameraFrame, newest_frames

Question = Literal["classify", "embed", "detect", "search"]


def live_answers(
    device: Device, frames: Iterable[np.ndarray], question: Question, model: str = "", detector: str = ""
) -> Generator[dict[str, Any]]:
    """For each frame that there is time for: ``frame``, its number; ``ms``, what the answer took; and the answer, or
    ``error`` where a service could not be reached. With a ``detector``, another model, the question is about the best
    box that it finds, which comes with the answer. Where an answer has several parts, ``parts_ms`` has what each
    took. Raises what the device's calls raise."""

    def labels(rgb: np.ndarray, box: Box | None) -> dict[str, Any]:
        return {"labels": [asdict(label) for label in device.classify(rgb, model=model, box=box)]}

    def seen(rgb: np.ndarray, box: Box | None) -> dict[str, Any]:
        return {"seen": [asdict(each) for each in device.detect(rgb, model=model)]}

    def search(rgb: np.ndarray, box: Box | None) -> dict[str, Any]:
        found = device.search(rgb, model=model, k=5, box=box)
        return {"results": found["results"], "parts_ms": found["parts_ms"]}

    asked: Callable[[np.ndarray, Box | None], dict[str, Any]] = {
        "classify": labels,
        "embed": lambda rgb, box: {"vector": device.embed(rgb, model=model, box=box).tolist()},
        "detect": seen,
        "search": search,
    }[question]

    def answer(rgb: np.ndarray) -> dict[str, Any]:
        if not detector:
            return asked(rgb, None)
        began = time.perf_counter()
        found = device.detect(rgb, model=detector)
        parts = {"detect": round(1e3 * (time.perf_counter() - began), 3)}
        box = found[0].box if found else None
        answered = asked(rgb, box) | ({"box": asdict(box)} if box else {})
        return answered | {"parts_ms": parts | answered.get("parts_ms", {})}

    for frame in newest_frames(frames):
        yield _answer(frame, answer)


def _answer(frame: CameraFrame, ask: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        answer = ask(frame.rgb)
    except Unavailable as error:
        answer = {"error": str(error)}
    return {"frame": frame.number, "ms": round(1e3 * (time.perf_counter() - began), 3), **answer}
