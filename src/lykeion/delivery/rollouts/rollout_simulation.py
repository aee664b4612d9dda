"""Rollouts of imagined fleets: how often a harmless version is halted, and how soon a harmful one.

Devices are not simulated one by one: those at risk fail in an interval with the same probability, so numbers of
failures are binomial. The decisions are those of ``decide``, the one that real rollouts follow.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from lykeion.core.odds_ratio_test import FailureTable

from .fleet_observation import FleetObservation
from .rollout_decision import FINAL, decide, next_look
from .rollout_resource import FleetRolloutStatus, HaltRule, RolloutSpec

if TYPE_CHECKING:
    import numpy as np

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FleetScenario:
    """``devices`` of which the share ``reporting`` is on in an interval.

    ``rates`` are probabilities of a metric for a device that is on in an interval, without the new version; for a
    rule with ``above``, that its values are above. ``harm`` multiplies the odds for devices that moved. Of those, the
    share ``bricked`` never reports again. ``move_share`` of the assigned devices that are on move in each interval.
    """

    devices: int
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    harm: Mapping[str, float] = field(default_factory=dict[str, float])
    bricked: float = 0.0
    reporting: float = 0.6
    move_share: float = 0.5


@dataclass(frozen=True)
class SimulatedRollout:
    """How it ended, in which wave, after how many seconds, and how many devices had the version then."""

    state: str
    reason: str
    wave: int
    seconds: float
    moved: int


EachLook = Callable[[int, FleetRolloutStatus], None]
"""Called with the number of the run, from 0, and the status after each interval."""


def simulate(
    spec: RolloutSpec, scenario: FleetScenario, runs: int, seed: int, each_look: EachLook | None = None
) -> list[SimulatedRollout]:
    """``runs`` rollouts, without pauses, approvals and windows. Waves of rings and named devices have none."""
    import numpy as np

    rng = np.random.default_rng(seed)
    waves = tuple(structs.replace(each, approvals=0) for each in spec.waves)
    spec = structs.replace(spec, waves=waves, pause=False)
    return [_Run(spec, scenario, rng).end(partial(each_look or _ignore, number)) for number in range(runs)]


def _ignore(run: int, status: FleetRolloutStatus) -> None:
    """Nobody looks."""


class _Side:
    """Devices of one assignment: at risk by rule, and those to which it happened.

    ``silent`` are those at risk by a rule of silence that report no more, by the interval in which they stopped, the
    oldest first: they are counted ``delay`` intervals later.
    """

    def __init__(self, rules: Sequence[HaltRule], devices: int, delay: int) -> None:
        self.devices = devices
        self.at_risk = dict.fromkeys(rules, devices)
        self.events = dict.fromkeys(rules, 0)
        self.silent = {rule: [0] * delay for rule in rules if rule.metric == "silence"}

    def leaving(self, rule: HaltRule, devices: int, rng: "np.random.Generator") -> list[int]:
        """Take so many of those at risk away, drawn alike: the silent ones among them, by interval, are returned."""
        silent = self.silent.get(rule, [])
        drawn = rng.multivariate_hypergeometric(
            [*silent, self.at_risk[rule] - sum(silent)], devices, method="marginals"
        )
        self.at_risk[rule] -= devices
        gone = [int(each) for each in drawn[:-1]]
        silent[:] = [before - each for before, each in zip(silent, gone, strict=True)]
        return gone


class _Run:
    def __init__(self, spec: RolloutSpec, scenario: FleetScenario, rng: "np.random.Generator") -> None:
        self._spec, self._scenario, self._rng = spec, scenario, rng
        delay = math.ceil(spec.silence_seconds / spec.interval_seconds)
        self._treated = _Side(spec.halt_when, 0, delay)
        self._others = _Side(spec.halt_when, scenario.devices, delay)
        self._moved = 0

    def end(self, tell: Callable[[FleetRolloutStatus], None]) -> SimulatedRollout:
        status, now = decide(self._spec, FleetRolloutStatus(digest="simulated"), None, EPOCH), EPOCH
        for now in self._looks(status):
            self._assign(status.wave)
            status = decide(self._spec, status, self._observed(now), now)
            tell(status)
            if status.state in FINAL or status.reason == "DeadlineExceeded":
                break
        seconds = (now - EPOCH).total_seconds()
        return SimulatedRollout(status.state, status.reason, status.wave, seconds, self._moved)

    def _looks(self, status: FleetRolloutStatus) -> Iterator[datetime]:
        """The end of each interval, until all waves and the last deadline are over."""
        longest_s = sum(each.soak_seconds for each in self._spec.waves) + self._spec.deadline_seconds
        look = next_look(self._spec, status) or EPOCH
        for number in range(math.ceil(longest_s / self._spec.interval_seconds) + 1):
            yield look + number * timedelta(seconds=self._spec.interval_seconds)

    def _assign(self, wave: int) -> None:
        """Devices of the waves up to this one, from those that are left: at risk alike by each rule."""
        percent = max((each.percent or 0.0) for each in self._spec.waves[:wave])
        joining = round(self._scenario.devices * percent / 100) - self._treated.devices
        if joining <= 0:
            return
        for rule in self._spec.halt_when:
            left = self._others.at_risk[rule]
            at_risk = int(self._rng.hypergeometric(left, self._others.devices - left, joining))
            silent = self._others.leaving(rule, at_risk, self._rng)
            self._treated.at_risk[rule] += at_risk
            if silent:
                both = zip(self._treated.silent[rule], silent, strict=True)
                self._treated.silent[rule] = [there + joined for there, joined in both]
        self._others.devices -= joining
        self._treated.devices += joining

    def _observed(self, now: datetime) -> FleetObservation:
        waiting = self._treated.devices - self._moved
        share = self._scenario.move_share * self._scenario.reporting
        self._moved += int(self._rng.binomial(waiting, share)) if waiting else 0
        tables = {each: self._table(each) for each in self._spec.halt_when}
        treated = self._treated.devices
        return FleetObservation(now, self._scenario.devices, treated, treated, treated, self._moved, tables)

    def _table(self, rule: HaltRule) -> FailureTable:
        rate, moved = self._scenario.rates.get(rule.metric, 0.0), self._moved / max(1, self._treated.devices)
        harmed = _odds(rate, self._scenario.harm.get(rule.metric, 1.0))
        if rule.metric == "silence":
            harmed = max(harmed, rate + (1 - rate) * self._scenario.bricked)
        own = self._events(self._treated, rule, moved * harmed + (1 - moved) * rate)
        if rule.ratio is not None:
            return FailureTable(*own, *self._events(self._others, rule, rate))
        known = self._treated.devices if rule.above is None else self._treated.devices - self._treated.at_risk[rule]
        return FailureTable(known, self._treated.events[rule], 0, 0)

    def _events(self, side: _Side, rule: HaltRule, rate: float) -> tuple[int, int]:
        """Devices at risk that report, and those to which it happens; of values only the first report counts."""
        at_risk = side.at_risk[rule]
        if rule.metric == "silence":
            return at_risk, self._silences(side, rule, rate)
        seen = int(self._rng.binomial(at_risk, self._scenario.reporting))
        events = int(self._rng.binomial(seen, rate))
        side.at_risk[rule] -= events if rule.above is None else seen
        side.events[rule] += events
        return seen, events

    def _silences(self, side: _Side, rule: HaltRule, rate: float) -> int:
        """Of those that stopped so long ago that it is known now."""
        silent = side.silent[rule]
        silent.append(int(self._rng.binomial(side.at_risk[rule] - sum(silent), rate)))
        known = silent.pop(0)
        side.at_risk[rule] -= known
        side.events[rule] += known
        return known


def _odds(rate: float, ratio: float) -> float:
    odds = ratio * rate / (1 - rate)
    return odds / (1 + odds)
