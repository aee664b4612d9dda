"""Limits on the resources of one photo. The same numbers are in docs/photos.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one photo. Pixels are width × height.

    A JPEG is scaled down while it is decoded, so only its ``decoded_pixels`` after scaling cost memory, at 4 bytes
    each; so a phone's 200 megapixels are accepted. Every other format, and a JPEG that comes in several scans,
    must be held in memory as a whole, so ``decoded_pixels`` limits the photo itself, at up to 16 bytes each.
    """

    file_bytes: int = 128 * 2**20
    decoded_pixels: int = 128 * 10**6
    """Held in memory at once."""
    source_pixels: int = 512 * 10**6
    """Declared by the file, however far it is scaled down: this bounds the time."""
    side: int = 65_535
    scan_pixels: int = 2 * 10**9
    """Pixels times scans of a progressive JPEG: each scan passes over the whole photo."""


DEFAULT = Limits()
