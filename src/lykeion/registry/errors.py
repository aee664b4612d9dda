"""Errors about models."""

from lykeion.core import Invalid, Refused


class InvalidModel(Invalid):
    """A manifest, config or record that does not follow its specification, or a directory that is not a model."""


class Untrusted(Refused):
    """The trust policy does not allow this model; the message names the rule."""
