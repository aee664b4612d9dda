"""Errors about OCI content."""

from lykeion.core import Conflict, Invalid, NotFound


class ContentError(Invalid):
    """A document or layout that is not what the specification says."""


class BlobMissing(NotFound, ContentError):
    """A digest that the store does not hold."""


class ContentDamaged(ContentError):
    """Bytes that do not have the digest or size by which they are named."""


class RefMoved(Conflict, ContentError):
    """A reference that does not stand where the caller expected it; nothing was changed."""
