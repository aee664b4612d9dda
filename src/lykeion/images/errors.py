"""What can go wrong with building and running images."""

from lykeion.core import Invalid


class ImageError(Invalid):
    """An image that cannot be built, read or run; the message says why and what to do."""


class BaseError(ImageError):
    """A base that cannot be read, or does not offer what the image needs."""


class RequirementError(ImageError):
    """A requirement that is not locked, or for which there is no fitting wheel."""


class WheelError(ImageError):
    """A wheel that is damaged, hostile, or not what its name says."""


class LayerError(ImageError):
    """A layer that cannot be read, or tries to leave its root."""
