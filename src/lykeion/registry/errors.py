"""What can go wrong with a store of models."""

from lykeion.core import Conflict as Conflict
from lykeion.core import Invalid, Unavailable
from lykeion.core import NotFound as NotFound
from lykeion.core import Refused as Refused


class InvalidReference(Invalid):
    """The text names no model; the message says what a name looks like."""


class InvalidModel(Invalid):
    """A manifest, config or record that is not what its specification asks for, or a directory that is no model."""


class StoreError(Unavailable):
    """The store cannot be read or written: the disk's or the registry's own words are in the message."""


class Untrusted(Refused):
    """The trust policy does not allow this model; the message names the rule."""
