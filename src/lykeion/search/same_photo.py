"""Whether two thumbnails show the same photo, compared by pixels at the best position of one inside the other."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

COARSE, FINE = 32, 64
"""Pixels of the longer side for finding position and scale, and for the final comparison."""
SHARES = (1.0, 0.925, 0.85, 0.775, 0.7)
"""Shares of the whole's width or height that a cropped copy shows; values between are tried around the best."""
STEPS = (-0.0375, -0.025, -0.0125, 0.0, 0.0125, 0.025, 0.0375)
HOPELESS = 0.8
"""Copies are more similar than this even at the coarse size."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """A thumbnail at both sizes, slightly blurred so that half a pixel's shift does not matter."""

    coarse: Image.Image
    fine: Image.Image


def read_pixels(jpeg: bytes) -> Pixels:
    """Raises OSError if it is not a JPEG."""
    photo = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    fine = _blurred(photo, FINE)
    return Pixels(_blurred(fine, COARSE), fine)


def likeness(a: Pixels, b: Pixels) -> float:
    """How well one photo matches a part of the other: 1 for the same pixels, about 0 for unrelated ones.

    It is the normalised cross-correlation over all three colours (Lewis 1995, "Fast Normalized Cross-Correlation"),
    at the best position and scale, with either photo as the part. It is invariant to brightness and contrast, but not
    to colour or mirroring. A photo of a single colour matches only the same pixels.
    """
    if a.fine.size == b.fine.size and a.fine.tobytes() == b.fine.tobytes():
        return 1.0
    tried = [(_match(*pair, share), order, share) for order, pair in _orders(a.coarse, b.coarse) for share in SHARES]
    best, order, share = max(tried)
    if best < HOPELESS:
        return best
    whole, part = dict(_orders(a.fine, b.fine))[order]
    return max(_match(whole, part, share + step) for step in STEPS if share + step <= 1)


def _orders(a: Image.Image, b: Image.Image) -> list[tuple[int, tuple[Image.Image, Image.Image]]]:
    return [(0, (a, b)), (1, (b, a))]


def _match(whole: Image.Image, part: Image.Image, share: float) -> float:
    """The likeness of ``part``, scaled to ``share`` of the largest size that fits, at its best place in ``whole``."""
    field = np.asarray(whole, np.float32) / 255
    template = _scaled(part, share * min(whole.width / part.width, whole.height / part.height))
    template = np.asarray(template, np.float32) / 255
    template -= template.mean()
    (height, width), size = template.shape[:2], field.shape[:2]
    spectra = np.fft.rfft2(field, axes=(0, 1)) * np.fft.rfft2(template, s=size, axes=(0, 1)).conj()
    matches = np.fft.irfft2(spectra.sum(2), s=size)
    matches = matches[: size[0] - height + 1, : size[1] - width + 1]  # elsewhere the part wraps around
    sums, squares = _windows(field.sum(2), height, width), _windows((field**2).sum(2), height, width)
    spread = squares - sums**2 / template.size
    floor = 1e-4 * template.size  # of variance: a plain wall matches nothing
    energy = float((template**2).sum())
    return float((matches / np.sqrt(np.maximum(spread, floor) * max(energy, floor))).max())


def _windows(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sums of ``values`` over every window of that size that lies inside."""
    total = np.pad(values.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def _blurred(photo: Image.Image, side: int) -> Image.Image:
    scale = side / max(photo.size)
    return _scaled(photo.filter(ImageFilter.GaussianBlur(1 / scale)), scale)


def _scaled(photo: Image.Image, scale: float) -> Image.Image:
    size = (max(round(photo.width * scale), 1), max(round(photo.height * scale), 1))
    return photo.resize(size, Image.Resampling.BILINEAR)
