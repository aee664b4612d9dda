"""What can go wrong with models."""

from lykeion.core import Invalid, Refused


class InvalidModel(Invalid):
    """A manifest, config or record that is not what its specification asks for, or a directory that is no model."""


class Untrusted(Refused):
    """The trust policy does not allow this model; the message names the rule."""
