"""An attempt: one process for one index of its owner, running or ended."""

from dataclasses import dataclass
from datetime import datetime

from lykeion.platform.resources.plain_kinds import FailedAttempt

from .machine_share import UNLIMITED, MachineShare

TIME_LIMIT = "TimeLimit"
SUSPENDED = "Suspended"
FINISHED = "Finished"
SCALED = "Scaled"
SHUTDOWN = "Shutdown"
NEVER_STARTED = "NeverStarted"
PEER_FAILED = "PeerFailed"
NO_ROOM = "NoRoom"
NOT_READY = "NotReady"
NOT_LIVE = "NotLive"
RESULT_TOO_LARGE = "ResultTooLarge"
OOM_KILLED = "OOMKilled"
KEPT_ENDED = 3
"""Ended attempts of an index that are always kept, with their logs."""
UNCOUNTED = frozenset({SUSPENDED, FINISHED, SCALED, SHUTDOWN, NEVER_STARTED, PEER_FAILED, NO_ROOM})
"""Reasons for which an ended attempt does not count as a failure of its index."""


@dataclass(frozen=True)
class Attempt:
    """``number`` counts from 0 at each index. ``reason`` says why or how it was ended, if not by itself.

    ``result`` is what the program wrote to ``$LYKEION_RESULT``. ``stopping`` is the reason from the moment at which
    the process is told to end. ``port`` is where the program is to listen, 0 if nowhere. ``restarts`` and
    ``failures`` count earlier attempts at the index of a group: all that ended by themselves, and those in a row that
    ended early.
    """

    index: int
    number: int
    started: datetime
    ended: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    result: str = ""
    stopping: str = ""
    port: int = 0
    restarts: int = 0
    failures: int = 0
    share: MachineShare = UNLIMITED

    @property
    def name(self) -> str:
        return f"{self.index}-{self.number}"

    @property
    def counts(self) -> bool:
        """Whether it has ended, and for no reason outside its program."""
        return self.ended is not None and self.reason not in UNCOUNTED

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.exit_code == 0 and not self.reason

    @property
    def failed(self) -> bool:
        return self.counts and not self.succeeded

    def failure(self) -> FailedAttempt:
        return FailedAttempt(
            index=self.index,
            attempt=self.number,
            reason=self.reason or "ExitCode",
            message=self.message[:512],
            exit_code=self.exit_code,
            at=self.ended,
        )
