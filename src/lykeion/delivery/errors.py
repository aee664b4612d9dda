"""Errors of delivery."""

from lykeion.core import Conflict, Invalid, NotFound, Refused, Unavailable


class DeliveryError(Invalid):
    """What was given, or is in the repository's directory, cannot be used; the message names the file or field."""


class RepositoryDamaged(Unavailable):
    """The repository's metadata on disk are missing or not signed by the keys that they name."""


class KeyUnavailable(Refused):
    """A role cannot be signed: too few of its keys can be used here."""


class RepositoryBusy(Conflict):
    """Another process publishes, or the repository is in another state than the command expects."""


class NoSuchTarget(NotFound):
    """No model, version or class of that name is published."""
