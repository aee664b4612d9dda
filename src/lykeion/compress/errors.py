"""What can go wrong when a network is compressed."""

from lykeion.core import Invalid


class CompressionError(Invalid):
    """A network cannot be compressed as asked; the message names the step or the file, and says why."""
