"""Errors about OCI content."""

from lykeion.core import Conflict, Invalid, NotFound


class ContentError(Invalid):
    """A document or layout that does not follow the specification."""


class BlobMissing(NotFound, ContentError):
    """A digest that the store does not have."""


class ContentDamaged(ContentError):
    """Content that does not match its digest or size."""

    temporary = True


class RefMoved(Conflict, ContentError):
    """A reference does not point where the caller expected; nothing was changed."""
