"""What can go wrong with a store of models."""

from lykeion.core import LykeionError


class InvalidReference(LykeionError):
    """The text names no model; the message says what a name looks like."""


class InvalidModel(LykeionError):
    """A manifest, config or record that is not what its specification asks for, or a directory that is no model."""


class NotFound(LykeionError):
    """No model, alias or content of that name."""


class Conflict(LykeionError):
    """An alias was not where ``expect`` said, or two moves crossed; the message names both sides."""


class StoreError(LykeionError):
    """The store cannot be read or written: the disk's or the registry's own words are in the message."""


class Refused(LykeionError):
    """The registry does not let this user in, or allows less than was asked."""


class Untrusted(LykeionError):
    """The trust policy does not allow this model; the message names the rule."""
