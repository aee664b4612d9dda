"""A video file as a camera: YUV4MPEG2 (``.y4m``, as ``ffmpeg`` writes it), a folder of photos, or an animated image.

Frames come at the video's own speed, as a camera's would, or as fast as they can be read.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lykeion.core import Invalid, first_line
from lykeion.vision import decode, photo_suffixes

MAX_SIDE = 8_192
MAX_LINE_BYTES = 1_024
DEFAULT_FPS = Fraction(10)
"""Of a folder of photos."""
_MARK = b"YUV4MPEG2"


class VideoError(Invalid):
    """A video cannot be read: it is of another format, damaged, or too large."""


def video_frames(
    path: Path,
    *,
    realtime: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Generator[np.ndarray]:
    """RGB frames, uint8 (height, width, 3). Raises VideoError, PhotoError."""
    frames, fps = _opened(path)
    began = clock()
    for number, frame in enumerate(frames):
        if realtime and (early := began + number / fps - clock()) > 0:
            sleep(early)
        yield frame


def _opened(path: Path) -> tuple[Iterator[np.ndarray], Fraction]:
    if path.is_dir():
        photos = sorted(each for each in path.iterdir() if each.suffix.lower() in photo_suffixes())
        if not photos:
            raise VideoError(f"{path}: no photos in this folder")
        return (decode(photo).rgb for photo in photos), DEFAULT_FPS
    try:
        file = path.open("rb")
        if file.read(len(_MARK)) == _MARK:
            header = _Header.read(file, path)
            return _y4m(file, header, path), header.fps
        file.close()
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _animated(path)


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of YUV4MPEG2: frames of ``width`` by ``height``, 4:2:0 or 4:4:4, in the range 16 to 235."""

    width: int
    height: int
    fps: Fraction
    halved: bool

    @classmethod
    def read(cls, file: BinaryIO, path: Path) -> "_Header":
        values = {part[:1]: part[1:] for part in _line(file).decode("ascii", "replace").split()}
        try:
            width, height = int(values["W"]), int(values["H"])
            rate, per = values.get("F", "25:1").split(":")
            fps = Fraction(int(rate), int(per))
        except (KeyError, ValueError, ZeroDivisionError):
            raise VideoError(f"{path}: its first line does not say width, height and rate") from None
        colours = values.get("C", "420jpeg")
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and 0 < fps <= 1_000):
            raise VideoError(f"{path}: {width}×{height} at {float(fps):g} frames a second cannot be read")
        if colours not in ("420", "420jpeg", "420mpeg2", "420paldv", "444"):
            raise VideoError(f"{path}: its colours are {colours[:20]}; give one of 420 or 444, 8 bits")
        return cls(width, height, fps, colours != "444")


def _y4m(file: BinaryIO, header: _Header, path: Path) -> Iterator[np.ndarray]:
    width, height = header.width, header.height
    across, down = ((width + 1) // 2, (height + 1) // 2) if header.halved else (width, height)
    size = width * height + 2 * across * down
    with file:
        while line := _line(file):
            data = file.read(size)
            if not line.startswith(b"FRAME") or len(data) < size:
                raise VideoError(f"{path}: damaged, or cut off within a frame")
            planes = np.frombuffer(data, np.uint8)
            luma = planes[: width * height].reshape(height, width)
            chroma = planes[width * height :].reshape(2, down, across)
            if header.halved:
                chroma = chroma.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
            yield rgb_of(luma, chroma[0], chroma[1])


def rgb_of(luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    """BT.601, luma from 16 to 235: uint8 (height, width) each to RGB (height, width, 3)."""
    y = 1.164383 * (luma.astype(np.float32) - 16)
    b, r = blue.astype(np.float32) - 128, red.astype(np.float32) - 128
    rgb = np.stack([y + 1.596027 * r, y - 0.391762 * b - 0.812968 * r, y + 2.017232 * b], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _animated(path: Path) -> tuple[Iterator[np.ndarray], Fraction]:
    from PIL import Image, ImageSequence

    try:
        image = Image.open(path, formats=("GIF", "WEBP", "PNG", "AVIF"))
    except Exception as error:  # decoders may raise anything for hostile bytes
        raise VideoError(f"{path}: not a video that can be read ({first_line(error)}); give .y4m") from None
    if max(image.size) > MAX_SIDE:
        raise VideoError(f"{path}: {image.width}×{image.height}; a side may have {MAX_SIDE:,} pixels")
    duration_ms = image.info.get("duration") or 100

    def frames() -> Iterator[np.ndarray]:
        with image:
            try:
                for frame in ImageSequence.Iterator(image):
                    yield np.asarray(frame.convert("RGB"))
            except (OSError, SyntaxError, ValueError) as error:
                raise VideoError(f"{path}: damaged ({first_line(error)})") from None

    return frames(), Fraction(1_000, max(1, round(duration_ms)))


def _line(file: BinaryIO) -> bytes:
    """Without its end; empty at the end of the file."""
    return file.readline(MAX_LINE_BYTES).removesuffix(b"\n")
