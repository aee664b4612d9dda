"""Errors of training."""

from lykeion.core import Invalid, LykeionError


class DataError(Invalid):
    """Training data cannot be used; the message names the file and what is wrong."""


class TrainingError(LykeionError):
    """A training cannot start or continue; the message says why."""
