"""What can go wrong with an index."""

from lykeion.core import LykeionError
from lykeion.core.expression import WhereError as WhereError


class IndexFormatError(LykeionError):
    """The directory is not an index, or one of a newer format."""


class CorruptIndex(LykeionError):
    """Bytes on disk differ from what was written; the message names the file."""


class IndexLocked(LykeionError):
    """Another process is writing; the message names its pid."""


class EmbedderMismatch(LykeionError):
    """The index holds vectors of another embedder."""


class SchemaError(LykeionError):
    """An attribute's value conflicts with its column; the message names row, column and both types."""


class NotFound(LykeionError):
    """No product, photo or snapshot of that name."""
