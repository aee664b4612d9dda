"""Errors about OCI content."""

from lykeion.core import LykeionError


class ContentError(LykeionError):
    """A document or layout that is not what the specification says."""


class BlobMissing(ContentError):
    """A digest that the store does not hold."""


class ContentDamaged(ContentError):
    """Bytes that do not have the digest or size by which they are named."""


class RefMoved(ContentError):
    """A reference that does not stand where the caller expected it; nothing was changed."""
