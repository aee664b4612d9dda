"""What can go wrong with an index."""

from lykeion.core import Conflict, Invalid, Unavailable


class IndexFormatError(Unavailable):
    """The directory is not an index, or one of a newer format."""


class CorruptIndex(Unavailable):
    """Bytes on disk differ from what was written; the message names the file."""


class IndexLocked(Unavailable):
    """Another process is writing; the message names its pid."""


class EmbedderMismatch(Conflict):
    """The index holds vectors of another embedder."""


class IndexReplaced(Unavailable, EmbedderMismatch):
    """Another index, of other vectors, stands where the open one stood; whoever serves it must open it again."""


class SchemaError(Invalid):
    """An attribute's value conflicts with its column; the message names row, column and both types."""


class StorageError(Unavailable):
    """The disk refused a write; nothing of the write is kept."""
