"""When the next round of updates is due, by what kept the last one from coming through."""

import random
from dataclasses import dataclass, field
from typing import Protocol

FIRST_S = 30.0
"""After the first round in which a server did not answer; twice as long after each further one."""
SPREAD = 0.2
"""So much sooner or later, so that devices that lost a server do not all come back at once."""


class EndedRound(Protocol):
    @property
    def later_s(self) -> int: ...

    @property
    def poll_s(self) -> int: ...

    @property
    def unreachable(self) -> bool: ...


@dataclass
class RetryTimes:
    """``usual_s`` is the time where no server has said one. What a server that is busy asks for is kept to; where
    none answers, the next round comes soon, and later after each that fails, at most after the usual time; what only
    a person or another version mends, such as a full disk or a wrong signature, waits for the usual time."""

    usual_s: float
    dice: random.Random = field(default_factory=random.Random)
    _failed: int = field(default=0, init=False)

    def after(self, outcome: EndedRound) -> float:
        """Seconds to the next round."""
        if outcome.poll_s:
            self.usual_s = float(outcome.poll_s)
        if outcome.later_s:
            return float(outcome.later_s)
        if not outcome.unreachable:
            self._failed = 0
            return self.usual_s
        pause_s = FIRST_S * 2.0 ** min(self._failed, 20)
        self._failed += 1
        return min(self.usual_s, pause_s) * self.dice.uniform(1 - SPREAD, 1 + SPREAD)
