"""A rectangle in a photo as people see it."""

import re
from dataclasses import dataclass

from .errors import BoxError

_FOUR_NUMBERS = re.compile(r"\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*,\s*(-?\d{1,7})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels from ``left`` up to but not including ``right``, and so down, in the photo after EXIF orientation.

    It may reach outside the photo; what lies inside counts.
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
        """The part inside a photo of that size, or None where they do not meet."""
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        return Box(left, top, right, bottom) if left < right and top < bottom else None
