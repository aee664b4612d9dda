"""Photos in, pixels out: the only place where untrusted bytes are decoded."""

import math
import stat
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import preprocess, structure
from .box import Box
from .errors import PhotoError, UnusablePhoto
from .formats import open_photo, sniff
from .jpeg import read_structure
from .photo_limits import DEFAULT, Limits
from .preprocess import Region

if TYPE_CHECKING:
    from PIL.Image import Image

    from .card import ModelCard

MARGIN = 3.35
"""Scaled decoding keeps this many times the requested side. With less, the cosine to vectors of the full photo falls
below .9995 (tests/search/test_preprocessing_closeness.py); with more, a phone's 3,024 rows could not be scaled by 1/4
for a network of 224."""
LARGE_PIXELS = 24 * 10**6
_one_large = threading.Lock()
"""Held while a large photo is decoded: memory is bounded by one large photo, however many threads decode."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded photo: upright, sRGB, on white. ``width`` and ``height`` are those of the whole photo at
    full resolution; the pixels may be fewer, and are those of the requested box."""

    width: int
    height: int
    _image: "Image"
    _region: Region

    @property
    def rgb(self) -> np.ndarray:
        """uint8 (height, width, 3)."""
        left, top, right, bottom = map(round, self._region)
        return np.asarray(preprocess.cut(self._image, (left, top, max(right, left + 1), max(bottom, top + 1))))

    def pixels(self, card: "ModelCard") -> np.ndarray:
        """The network's input before normalisation: uint8 (card.height, card.width, 3, or 1 for grey)."""
        return preprocess.pixels(self._image, self._region, card)

    def thumbnail(self, side: int = 192) -> bytes:
        """A JPEG whose longer side is ``side`` pixels, or up to a third more; less if the photo is smaller."""
        from PIL.Image import Resampling

        image, region = self._image, self._region
        if (blocks := _longer(region) // side) > 1:  # averaging takes half as long as resizing
            left, top, right, bottom = region
            image = image.reduce(int(blocks), (int(left), int(top), math.ceil(right), math.ceil(bottom)))
            region = (0.0, 0.0, float(image.width), float(image.height))
        if image is self._image or 3 * _longer(region) > 4 * side:
            scale = min(1.0, side / _longer(region))
            size = max(1, round((region[2] - region[0]) * scale)), max(1, round((region[3] - region[1]) * scale))
            image = image.resize(size, Resampling.BILINEAR, region)
        return _jpeg(image)

    def pixels_and_thumbnail(self, card: "ModelCard", side: int = 192) -> tuple[np.ndarray, bytes]:
        """Both. Where the network sees all of the photo at a thumbnail's size, it sees the thumbnail: scaling a photo
        of 640² once more takes two thirds of a thumbnail's time."""
        fits = side <= max(card.width, card.height) <= 4 * side / 3
        seen = preprocess.whole(self._image, self._region, card) if fits else None
        if seen is None:
            return self.pixels(card), self.thumbnail(side)
        return np.asarray(seen), _jpeg(seen)


def _jpeg(image: "Image") -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def _longer(region: Region) -> float:
    left, top, right, bottom = region
    return max(right - left, bottom - top)


def decode(
    source: bytes | Path,
    *,
    name: str = "",
    at_least: int | None = None,
    box: Box | None = None,
    limits: Limits = DEFAULT,
) -> Decoded:
    """Decode a photo: JPEG, PNG, WebP, GIF (first frame), AVIF, or HEIC where pillow-heif is installed.

    ``at_least`` is the shorter side, in pixels, that the box (or photo) must have: decoding may then scale down to no
    less than MARGIN times that. None decodes in full. ``box`` is in the upright photo at full resolution.
    ``name`` is the photo's name in errors; by default its path. Raises PhotoError. Thread-safe.
    """
    name = name or (str(source) if isinstance(source, Path) else "photo")
    form = ""
    try:
        data = _read(source, limits)
        form = sniff(data)
        return _decode(data, form, at_least, box, limits)
    except UnusablePhoto as refusal:
        raise PhotoError(name, str(refusal)) from None
    except Exception as error:  # decoders may raise anything for hostile bytes
        raise PhotoError(name, f"cannot be decoded as {form} ({str(error) or type(error).__name__})") from error


def from_rgb(frame: np.ndarray, *, name: str = "frame", box: Box | None = None, limits: Limits = DEFAULT) -> Decoded:
    """A frame of a camera or video, uint8 (height, width, 3), upright and sRGB, as if it had been decoded: a lossless
    photo with these pixels gives the network the same input, to the bit. The pixels are copied. Raises PhotoError.
    """
    from PIL import Image

    try:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise UnusablePhoto(f"{frame.dtype} of shape {frame.shape}; uint8 (height, width, 3) is expected")
        height, width = frame.shape[:2]
        _check_size((width, height), width * height, 1, limits)
        view = _View.of((width, height), None, box)
    except UnusablePhoto as refusal:
        raise PhotoError(name, str(refusal)) from None
    image = Image.frombytes("RGB", (width, height), np.ascontiguousarray(frame).tobytes())
    return Decoded(width, height, image, view.region((width, height), 1))


def _read(source: bytes | Path, limits: Limits) -> bytes:
    if isinstance(source, Path):
        try:
            found = source.stat()
            if not stat.S_ISREG(found.st_mode):
                raise UnusablePhoto("not a file")
            _check_bytes(found.st_size, limits)
            with source.open("rb") as file:
                source = file.read(found.st_size)
        except (OSError, ValueError) as error:  # ValueError: a null in the path
            raise UnusablePhoto(getattr(error, "strerror", None) or str(error)) from None
    _check_bytes(len(source), limits)
    return bytes(source)


def _check_bytes(size: int, limits: Limits) -> None:
    if not size:
        raise UnusablePhoto("empty: zero bytes")
    if size > limits.file_bytes:
        raise UnusablePhoto(f"it has {size:,} bytes; at most {limits.file_bytes:,} are allowed")


def _decode(data: bytes, form: str, at_least: int | None, box: Box | None, limits: Limits) -> Decoded:
    from .orientation import upright

    if form == "JPEG":
        image, view, scale = _decode_jpeg(data, at_least, box, limits)
    else:
        image, view, scale = _decode_whole(data, form, at_least, box, limits)
    image = upright(image, view.orientation)
    image.info = {}  # comments and other metadata are dropped
    return Decoded(view.width, view.height, image, view.region(image.size, scale))


def _decode_jpeg(data: bytes, at_least: int | None, box: Box | None, limits: Limits) -> "tuple[Image, _View, int]":
    from .colour import to_srgb

    jpeg = read_structure(data)
    image = open_photo(jpeg.data, "JPEG")
    view = _View.of(image.size, jpeg.exif, box)
    scale = _scale(view.part, at_least)
    size = image.width // scale, image.height // scale
    image.draft(None, size)
    held = view.width * view.height if jpeg.scans > 1 else image.width * image.height
    held *= 2 if jpeg.twin else 1
    _check_size((view.width, view.height), held, jpeg.scans, limits)
    with _memory(held):
        image.load()
        if jpeg.twin:
            twin = open_photo(jpeg.twin, "JPEG")
            twin.draft(None, size)
            if not preprocess.same_pixels(image, twin):
                raise UnusablePhoto("a damaged JPEG: it ends before its last pixels")
        return to_srgb(image), view, scale


def _decode_whole(
    data: bytes, form: str, at_least: int | None, box: Box | None, limits: Limits
) -> "tuple[Image, _View, int]":
    from .colour import to_srgb
    from .key_colour import make_key_white

    if form == "PNG":
        structure.check_png(data)
    elif form == "GIF":
        structure.check_gif(data)
    image = open_photo(data, form)
    held = image.width * image.height
    _check_size(image.size, held, 1, limits)
    with _memory(held):
        if form == "PNG":
            make_key_white(image, data)
        else:
            image.load()
        view = _View.of(image.size, image.info.get("exif"), box)  # EXIF may follow the pixels
        image = to_srgb(image)
        # Averaging pixels is less accurate than a JPEG's scaling, so it reduces half as much.
        scale = _scale(view.part, at_least and 2 * at_least) if held > LARGE_PIXELS else 1
        return image.reduce(scale) if scale > 1 else image, view, scale


def _memory(held: int) -> AbstractContextManager[object]:
    """Permission to hold this many pixels."""
    return _one_large if held > LARGE_PIXELS else nullcontext()


@dataclass(frozen=True, slots=True)
class _View:
    """Orientation, upright size, and the requested part of the photo."""

    orientation: int
    width: int
    height: int
    part: Box

    @classmethod
    def of(cls, stored: tuple[int, int], exif: object, box: Box | None) -> "_View":
        from .orientation import SWAPS_SIDES, orientation_of

        orientation = orientation_of(exif) if isinstance(exif, bytes) else 1
        width, height = stored[::-1] if orientation in SWAPS_SIDES else stored
        part = (box or Box(0, 0, width, height)).within(width, height)
        if part is None:
            raise UnusablePhoto(f"the box {box} is outside the photo, which is {width}×{height}")
        return cls(orientation, width, height, part)

    def region(self, size: tuple[int, int], scale: int) -> Region:
        """The part in an upright image of ``size`` that was scaled down by ``scale``.

        Scaled sides are rounded up, so the last column and row may extend beyond the photo; after rotation they may
        be the first.
        """
        from .orientation import LEFT_WAS_FAR, TOP_WAS_FAR

        dx = size[0] - self.width / scale if self.orientation in LEFT_WAS_FAR else 0.0
        dy = size[1] - self.height / scale if self.orientation in TOP_WAS_FAR else 0.0
        return (
            self.part.left / scale + dx,
            self.part.top / scale + dy,
            min(self.part.right / scale + dx, size[0]),
            min(self.part.bottom / scale + dy, size[1]),
        )


def _scale(part: Box, at_least: int | None) -> int:
    """The largest scaling factor of JPEG decoders that the part allows."""
    if at_least is None:
        return 1
    side = min(part.right - part.left, part.bottom - part.top)
    return next((factor for factor in (8, 4, 2) if side >= factor * MARGIN * max(at_least, 1)), 1)


def _check_size(size: tuple[int, int], held: int, scans: int, limits: Limits) -> None:
    width, height = size
    pixels, shape = width * height, f"it is {width}×{height}"
    if max(size) > limits.side:
        raise UnusablePhoto(f"{shape}; a side may have at most {limits.side:,} pixels")
    if pixels > limits.source_pixels:
        raise UnusablePhoto(
            f"{shape}, {pixels / 1e6:.0f} megapixels; a photo may have {limits.source_pixels / 1e6:g}"
        )
    if held > limits.decoded_pixels:
        raise UnusablePhoto(
            f"{shape} and needs {held / 1e6:.0f} megapixels in memory at once; "
            f"{limits.decoded_pixels / 1e6:g} are allowed"
        )
    if scans > 1 and pixels * scans > limits.scan_pixels:
        raise UnusablePhoto(f"{shape} in {scans:,} scans; decoding would take too long")
