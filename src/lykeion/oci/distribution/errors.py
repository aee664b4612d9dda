"""Errors of artifact stores."""

from lykeion.core import Invalid, Unavailable


class InvalidReference(Invalid):
    """The text is not a valid artifact name; the message shows the syntax."""


class StoreError(Unavailable):
    """The store cannot be read or written; the message has the disk's or the registry's reason."""
