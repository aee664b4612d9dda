"""The newest frame of a camera: while one is looked at, those that arrive replace each other, and none waits."""

import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from lykeion.core import LykeionError


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame:
    """``rgb`` is uint8 (height, width, 3); ``number`` counts all frames that arrived, from 0."""

    rgb: np.ndarray
    number: int


class NewestFrame:
    """A place for one frame, between the thread that has the camera and the one that looks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: CameraFrame | None = None
        self._ended = False
        self._error: LykeionError | None = None
        self._count = 0

    def put(self, rgb: np.ndarray) -> bool:
        """Replaces a frame that nobody has taken. False once nobody looks any more."""
        with self._changed:
            self._frame = CameraFrame(rgb, self._count)
            self._count += 1
            self._changed.notify()
            return not self._ended

    def end(self, error: LykeionError | None = None) -> None:
        """No frame will come, or is wanted, any more; the last one can still be taken."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def take(self) -> CameraFrame | None:
        """Waits for the next frame; None after the end. Raises what ended the camera."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._ended)
            frame, self._frame = self._frame, None
            if frame is None and self._error:
                raise self._error
            return frame


def newest_frames(frames: Iterable[np.ndarray]) -> Generator[CameraFrame]:
    """The frames that there is time for: a thread of its own goes through ``frames``, as fast as they come. The first
    frame and the last one are always among them. Raises the LykeionError that ends ``frames``."""
    place = NewestFrame()
    thread = threading.Thread(target=_read, args=(frames, place), daemon=True)
    thread.start()
    try:
        while frame := place.take():
            yield frame
    finally:
        place.end()


def _read(frames: Iterable[np.ndarray], place: NewestFrame) -> None:
    error = None
    try:
        if isinstance(frames, Generator):
            with closing(frames):
                _put_all(frames, place)
        else:
            _put_all(frames, place)
    except LykeionError as ended:
        error = ended
    finally:
        place.end(error)


def _put_all(frames: Iterable[np.ndarray], place: NewestFrame) -> None:
    for rgb in frames:
        if not place.put(rgb):
            return
