"""The fewest artifacts that serve a fleet: each device runs the one that suits it best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from lykeion.core import Invalid

from .bench_report import BenchReport, BenchResult
from .goal import Goal, exact
from .selection import choose

MAX_SETS = 500_000
"""At most this many sets are tried; beyond that, artifacts are chosen greedily."""


class FleetError(Invalid):
    """There is nothing to choose from, or too little was measured."""


@dataclass(frozen=True, slots=True)
class Cover:
    """``artifacts`` are digests, ``served`` is what each device runs; ``exact`` says that no smaller set suffices."""

    artifacts: tuple[str, ...]
    served: Mapping[str, BenchResult]
    unserved: tuple[str, ...]
    exact: bool

    @property
    def coverage(self) -> float:
        """The share of devices that are served."""
        return len(self.served) / (len(self.served) + len(self.unserved))


def cover(reports: Mapping[str, BenchReport], goal: Goal) -> Cover:
    """The smallest set of models with which every device that can meet the goal does; among sets of equal size, the
    one of the least total cost. ``reports`` are by device. Raises FleetError."""
    options: dict[str, dict[str, BenchResult]] = {}
    for device, report in reports.items():
        for name in sorted(goal.names):
            if report.results and not any(name in result.known for result in report.results):
                raise FleetError(f"{device}: {name} was not measured there, and the goal asks for it")
        by_digest: dict[str, list[BenchResult]] = {}
        for result in report.results:
            by_digest.setdefault(result.digest, []).append(result)
        best = {digest: choose(results, goal) for digest, results in by_digest.items()}
        options[device] = {digest: result for digest, result in best.items() if result is not None}
    if not options:
        raise FleetError("no devices: give the reports that lykeion engines bench wrote on them")
    able = {device: found for device, found in options.items() if found}
    costs = {
        device: {digest: _cost(result, goal) for digest, result in found.items()} for device, found in able.items()
    }
    artifacts, is_exact = smallest_cover(costs)
    served = {
        device: found[
            min((digest for digest in artifacts if digest in found), key=lambda digest: costs[device][digest])
        ]
        for device, found in able.items()
    }
    return Cover(artifacts, served, tuple(device for device in options if device not in able), is_exact)


def smallest_cover(costs: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, ...], bool]:
    """The fewest artifacts such that each device has one, at the least total cost, and whether this is proven.
    ``costs``: by device, of each artifact that suits it; at least one per device."""
    if not costs:
        return (), True
    artifacts = sorted({artifact for offered in costs.values() for artifact in offered})
    tried = 0
    for size in range(1, len(artifacts) + 1):
        tried += comb(len(artifacts), size)
        if tried > MAX_SETS:
            return _greedy(costs, artifacts), False
        found = [chosen for chosen in combinations(artifacts, size) if _covers(chosen, costs)]
        if found:
            return min(found, key=lambda chosen: _total(chosen, costs)), True
    raise AssertionError("each device is offered something")


def _greedy(costs: Mapping[str, Mapping[str, float]], artifacts: Sequence[str]) -> tuple[str, ...]:
    chosen: list[str] = []
    waiting = set(costs)
    while waiting:
        best = max(artifacts, key=lambda artifact: sum(artifact in costs[device] for device in waiting))
        chosen.append(best)
        waiting -= {device for device in waiting if best in costs[device]}
    return tuple(sorted(chosen))


def _covers(chosen: Sequence[str], costs: Mapping[str, Mapping[str, float]]) -> bool:
    return all(any(artifact in offered for artifact in chosen) for offered in costs.values())


def _total(chosen: Sequence[str], costs: Mapping[str, Mapping[str, float]]) -> float:
    return sum(min(offered[artifact] for artifact in chosen if artifact in offered) for offered in costs.values())


def _cost(result: BenchResult, goal: Goal) -> float:
    return goal.cost({name: exact(value) for name, value in result.known.items()})[0]
