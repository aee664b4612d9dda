"""Errors of building and running images."""

from lykeion.core import Invalid, NotFound


class ImageError(Invalid):
    """An image that cannot be built, read or run; the message says why and what to do."""


class NoSuchImage(ImageError, NotFound):
    """An image that is not in the layout."""


class BaseError(ImageError):
    """A base that cannot be read or lacks what the image needs."""


class RequirementError(ImageError):
    """A requirement that is not locked or has no compatible wheel."""


class WheelError(ImageError):
    """A wheel that is damaged, malicious, or does not match its name."""


class LayerError(ImageError):
    """A layer that cannot be read or tries to escape its root."""


class ContextError(ImageError):
    """A directory or repository from which no image can be built."""
