"""Images are resolved to digests once, before anything runs: a tag that moves later changes nothing."""

from dataclasses import dataclass

from lykeion.control import Condition, Lookup, Observed
from lykeion.core import Invalid, LykeionError, NotFound
from lykeion.platform.lookups import ImageDigest


@dataclass(frozen=True)
class ImageAnswer:
    """``image`` by digest, or as it was named where programs do not run in images; empty while it is not known.

    Then there are ``reads``, or ``error`` says why. ``invalid`` is the error of a name that no image has.
    """

    image: str = ""
    reads: tuple[Lookup, ...] = ()
    error: LykeionError | None = None

    @property
    def invalid(self) -> str:
        never = isinstance(self.error, Invalid) and not isinstance(self.error, NotFound)
        return str(self.error) if never else ""

    @property
    def waiting(self) -> tuple[Condition, ...]:
        """The condition of what waits for the image."""
        if self.error is None:
            return ()
        reason = "ImageNotFound" if isinstance(self.error, NotFound) else "ImageNotPulled"
        return (Condition(type="Unschedulable", status="True", reason=reason, message=str(self.error)),)


def is_pinned(image: str | None, pinned: str) -> bool:
    """Whether there is no image, or it is a digest, or has been ``pinned``."""
    return not image or "@" in image or bool(pinned)


def look_up_image(image: str, observed: Observed) -> ImageAnswer:
    """The image by digest; it is neither empty nor one already."""
    asked = ImageDigest(image)
    if asked not in observed.read:
        return ImageAnswer(reads=(asked,))
    answer = observed.read[asked]
    if isinstance(answer, LykeionError):
        return ImageAnswer(error=answer)
    return ImageAnswer(pinned_image(image, answer) if answer else image)


def pinned_image(image: str, digest: str) -> str:
    """An image by digest in place of its tag."""
    place, slash, name = image.rpartition("/")
    return f"{place}{slash}{name.partition(':')[0]}@{digest}"
