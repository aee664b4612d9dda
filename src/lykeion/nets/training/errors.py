"""What can go wrong between data and a trained network."""

from lykeion.core import Invalid, LykeionError


class DataError(Invalid):
    """Training data cannot be used; the message names the file and what is wrong."""


class TrainingError(LykeionError):
    """A training cannot start or go on; the message says why."""
