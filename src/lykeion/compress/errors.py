"""Errors of compression."""

from lykeion.core import Invalid


class CompressionError(Invalid):
    """A network cannot be compressed as requested; the message names the step or the file, and the reason."""
