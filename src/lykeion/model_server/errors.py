"""Errors of the model server."""

from lykeion.core import Invalid, LykeionError, NotFound, Unavailable, Unsupported


class BadInferRequest(Invalid):
    """A request that does not fit the protocol or the model; the message names the field."""


class UnknownModel(NotFound):
    """No model of that name or version is served."""


class CannotServe(Invalid):
    """A model, card or list of labels that does not fit the others."""


class LacksPart(Unsupported):
    """The request needs a model card or labels, which the model does not have, or a feature that is not offered."""


class EngineFailed(LykeionError):
    """The engine failed on a request that fits the model."""


class OutOfTime(Unavailable):
    """The time that the request allows itself is over."""
