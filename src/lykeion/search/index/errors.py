"""Errors of an index."""

from lykeion.core import Conflict, Invalid, Unavailable, Unsupported


class IndexFormatError(Unavailable):
    """The directory is not an index, or one of a newer format."""


class IndexReadOnly(Unsupported, IndexFormatError):
    """A write to an index that is open for reading."""


class CorruptIndex(Unavailable):
    """Bytes on disk differ from what was written; the message names the file."""


class IndexLocked(Unavailable):
    """Another process is writing; the message names its pid."""


class EmbedderMismatch(Conflict):
    """The index holds vectors of another embedder, dimension, metric or type."""

    @classmethod
    def of(cls, where: object, what: str, holds: object, wanted: object) -> "EmbedderMismatch":
        """The index at ``where`` holds vectors of one embedder, dimension …; another is wanted. None: not known."""
        if not holds:
            return cls(
                f"{where} holds vectors of an unknown {what}; search it by vector or by id, or name another index"
            )
        return cls(
            f"{where} holds vectors of the {what} {_short(holds)}, not of {_short(wanted)}; name that {what}"
            f"{' with --embedder' if what == 'embedder' else ''}, or another index"
        )


class IndexReplaced(Unavailable, EmbedderMismatch):
    """The open index was replaced by another one with other vectors; open it again."""


class SchemaError(Invalid):
    """An attribute's value conflicts with its column; the message names row, column and both types."""


class StorageError(Unavailable):
    """The disk refused a read or a write; nothing of the write is kept."""


def _short(value: object) -> str:
    """A digest, shortened."""
    text = str(value or "unknown")
    return f"{text[:19]}…" if text.startswith("sha256:") and len(text) > 19 else text
