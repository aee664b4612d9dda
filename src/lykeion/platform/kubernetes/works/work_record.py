"""What earlier Jobs of a Work have done, as an annotation of the one that is there now. Pure."""

import json

import msgspec

from lykeion.control import GROUP, ResourceError, Wire
from lykeion.platform.kubernetes.objects import KubeObject, annotation, text
from lykeion.platform.resources.plain_kinds import FailedAttempt, IndexRanges, Used

RECORD = f"{GROUP}/record"


class WorkRecord(Wire, frozen=True):
    """``counted`` are failed attempts of programs that run all at once, ``used`` those of each index of others.

    ``attempts`` are also those of this Job whose pods were deleted when it was suspended, and ``seen`` the failures
    that it had then. ``run`` is the UID of the last JobSet of which this is known: it may be there still.
    """

    attempts: int = 0
    counted: int = 0
    used: Used = ()
    seen: Used = ()
    succeeded: IndexRanges = ""
    failed: IndexRanges = ""
    failures: tuple[FailedAttempt, ...] = ()
    result: str = ""
    run: str = ""

    def annotation(self) -> dict[str, str]:
        return {} if self == WorkRecord() else {RECORD: json.dumps(msgspec.to_builtins(self))}


def read_record(job: KubeObject) -> WorkRecord:
    """Raises ResourceError."""
    written = annotation(job, RECORD)
    try:
        return msgspec.json.decode(written, type=WorkRecord) if written else WorkRecord()
    except ValueError as wrong:
        name = text(job, "metadata", "name")
        raise ResourceError(f"job/{name}: its annotation {RECORD} is not what was done: {wrong}") from None
