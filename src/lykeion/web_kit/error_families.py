"""The status of responses for each family of errors; imported without a web framework."""

from lykeion.core import Conflict, Invalid, LykeionError, NotFound, Refused, Unavailable, Unsupported

STATUS_OF_FAMILY = {Invalid: 400, Refused: 403, NotFound: 404, Conflict: 409, Unsupported: 501, Unavailable: 503}


def status_of(error: LykeionError) -> int:
    """The status of the error's closest family; 500 if it has none."""
    return next((STATUS_OF_FAMILY[base] for base in type(error).__mro__ if base in STATUS_OF_FAMILY), 500)
