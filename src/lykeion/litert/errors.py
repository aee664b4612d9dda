"""Errors about model files."""

from lykeion.core import Invalid


class ModelError(Invalid):
    """A model file that is damaged, or that this engine cannot run; the message names the file."""
