"""What can go wrong with a store of artifacts."""

from lykeion.core import Invalid, Unavailable


class InvalidReference(Invalid):
    """The text names no artifact; the message says what a name looks like."""


class StoreError(Unavailable):
    """The store cannot be read or written: the disk's or the registry's own words are in the message."""
