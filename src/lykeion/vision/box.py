"""A rectangle in an upright photo."""

import re
from dataclasses import dataclass

from .errors import BoxError

_FOUR_NUMBERS = re.compile(r"\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels from ``left`` to ``right``, exclusive, and ``top`` to ``bottom``, in the photo after EXIF orientation.

    It may extend beyond the photo; the part inside is used.
    """

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def parse(cls, text: str) -> "Box":
        """Read ``"10,20,200,240"``: left, top, right, bottom. Raises BoxError."""
        match = _FOUR_NUMBERS.fullmatch(text)
        if not match:
            raise BoxError(f"box {text[:60]!r}: expected left,top,right,bottom in pixels, such as 10,20,200,240")
        left, top, right, bottom = map(int, match.groups())
        if left >= right or top >= bottom:
            raise BoxError(f"box {text[:60]!r} is empty: right must exceed left, and bottom must exceed top")
        return cls(left, top, right, bottom)

    def within(self, width: int, height: int) -> "Box | None":
        """The part inside a photo of this size, or None if they do not overlap."""
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        return Box(left, top, right, bottom) if left < right and top < bottom else None
