"""Errors of the device client."""

from lykeion.core import Invalid, Refused, Unavailable, Unsupported


class RecordError(Invalid):
    """What a target's metadata says cannot be used: a field is missing, of another type, or out of bounds."""


class NewerRecord(Unsupported):
    """A target that a newer release described; this device's software must be updated first."""


class DeltaError(Invalid):
    """A delta that does not give the expected file: it is damaged, of another base, or too large."""


class UpdateRefused(Refused):
    """Metadata or a file that is not what trusted keys have signed; nothing of it is used."""


class UpdateUnavailable(Unavailable):
    """The repository cannot be reached or does not answer as it should; what was verified stays in use."""


class UpdateMissing(UpdateUnavailable):
    """The repository has no such file."""


class SlotError(Unavailable):
    """The models kept on this device cannot be read or written."""
