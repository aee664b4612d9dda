"""Devices that come back to a gateway that was away: by the rules that real ones follow, without a network.

A gateway admits so many connections in a second, and tells the others when to come back; devices wait random times.
What is drawn is when each of up to millions of devices asks; what is counted is how many ask in each second.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lykeion.delivery.gateway import ConnectRate
from lykeion.device.conversation import FIRST_RETURN_S, MOST_RETURN_S

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GatewayAway:
    """``told_within_s``: a gateway that is stopped tells each device another time to come back within so long; 0 if
    it was killed. It is back after ``away_s``, and admits ``connects`` in a second."""

    devices: int
    away_s: float
    connects: float
    told_within_s: float = 0.0


@dataclass(frozen=True)
class ReturnedDevices:
    """By seconds since the gateway went away: how many asked, and how many were connected again."""

    asked: "NDArray[np.int64]"
    back: "NDArray[np.int64]"

    @property
    def all_back_s(self) -> int:
        return len(self.back)

    @property
    def second_peak(self) -> float:
        """The most that asked in a second after it had become quiet, as a share of the most before: quiet is a tenth
        of that."""
        import numpy as np

        first = int(self.asked.argmax())
        quiet = np.flatnonzero(self.asked[first:] <= self.asked[first] / 10)
        later = self.asked[first + quiet[0] :] if len(quiet) else self.asked[:0]
        return float(later.max(initial=0) / max(1, self.asked[first]))


def simulate_return(away: GatewayAway, seed: int) -> ReturnedDevices:
    """Until all are connected again."""
    import numpy as np

    rng = np.random.default_rng(seed)
    failures = np.ones(away.devices, np.int64)
    told = rng.uniform(0, away.told_within_s, away.devices)
    asks_at = return_delays(failures, told, rng)
    now = [0.0]
    rate = ConnectRate(away.connects, clock=lambda: now[0])
    asked: list[int] = []
    back: list[int] = []
    while sum(back) < away.devices:
        second = len(asked)
        due = np.flatnonzero(asks_at < second + 1)
        due = due[asks_at[due].argsort()]
        waits = np.zeros(len(due))
        admitted = np.zeros(len(due), bool)
        for place, at in enumerate(asks_at[due].tolist()):
            if at >= away.away_s:
                now[0] = at
                waits[place] = rate.take()
                admitted[place] = not waits[place]
        asked.append(len(due))
        back.append(int(admitted.sum()))
        asks_at[due[admitted]] = np.inf
        refused = due[~admitted]
        failures[refused] += 1
        asks_at[refused] += return_delays(failures[refused], waits[~admitted], rng)
    return ReturnedDevices(np.asarray(asked), np.asarray(back))


def return_delays(
    failures: "NDArray[np.int64]", after_s: "NDArray[np.float64]", rng: "np.random.Generator"
) -> "NDArray[np.float64]":
    """``reconnect_delay_s`` of many."""
    import numpy as np

    bound = np.maximum(np.minimum(MOST_RETURN_S, FIRST_RETURN_S * 2.0 ** np.minimum(failures, 20)), after_s)
    return after_s + rng.uniform(0, 1, len(failures)) * bound
