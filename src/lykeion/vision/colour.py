"""Conversion of any image that Pillow decodes to 8-bit sRGB on white."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from .errors import UnusablePhoto

MAX_PROFILE_BYTES = 4 * 2**20


def to_srgb(image: Image.Image) -> Image.Image:
    """8-bit sRGB of the same size: alpha blended over white, 16 bits reduced to 8, the ICC profile applied.

    A profile that is damaged, oversized or for other channels is ignored, as in browsers: samples are then taken as
    sRGB, or converted from CMYK by subtraction. Raises UnusablePhoto for samples with no defined white.
    """
    profile = image.info.get("icc_profile") or b""
    image = _flattened(image)
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            return ImageCms.applyTransform(image, transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


def _flattened(image: Image.Image) -> Image.Image:
    """The same colours, as L, RGB or CMYK without alpha."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # as Pillow reads 16-bit colour
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "RGBX", "YCbCr"):
        return image.convert("RGB")
    raise UnusablePhoto(f"its pixel mode is {image.mode!r}; save it with 8 or 16 bits per channel")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile to sRGB (perceptual intent), or None if no conversion is needed or possible.

    Whether the profile *is* sRGB is found by converting a grid of colours: there are many profiles of that space, and
    their names do not distinguish them from linear or wide-gamut variants.
    """
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)), _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "RGB":
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        seen = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
        if np.abs(seen.astype(np.int16) - lattice).max() <= 2:
            return None
    return transform


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
