"""How much of this machine one photo may ask for. The same numbers are in docs/photos.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one photo. Pixels are counted as width × height.

    A JPEG is scaled down while it is decoded, so only its ``decoded_pixels`` after scaling cost memory, at 4 bytes
    each; that is how a phone's 200 megapixels pass. Every other format, and a JPEG that comes in several scans,
    must be held whole, so there ``decoded_pixels`` bounds the photo itself, at up to 16 bytes each.
    """

    file_bytes: int = 128 * 2**20
    decoded_pixels: int = 128 * 10**6
    """What is held in memory at once."""
    source_pixels: int = 512 * 10**6
    """What the file may claim, however far it is scaled down: this bounds time."""
    side: int = 65_535
    scan_pixels: int = 2 * 10**9
    """Pixels times scans of a progressive JPEG: each scan walks the whole photo."""


DEFAULT = Limits()
