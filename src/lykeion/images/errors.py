"""What can go wrong with building and running images."""

from lykeion.core import LykeionError


class ImageError(LykeionError):
    """An image that cannot be built, read or run; the message says why and what to do."""


class SpecError(ImageError):
    """A description of an image that does not fit; the message names the file and the field."""


class BaseError(ImageError):
    """A base that cannot be read, or does not offer what the image needs."""


class RequirementError(ImageError):
    """A requirement that is not locked, or for which there is no fitting wheel."""


class WheelError(ImageError):
    """A wheel that is damaged, hostile, or not what its name says."""


class LayerError(ImageError):
    """A layer that cannot be read, or tries to leave its root."""
