"""Times of a network's single operators, from engines that report them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """Mean over the runs. Engines fuse operators: names and kinds are those of the engine."""

    name: str
    kind: str
    mean_ms: float
    runs: int


def gathered(events: Iterable[tuple[str, str, float]]) -> tuple[OperatorTime, ...]:
    """Times from single events (name, kind, ms), in the order of first occurrence."""
    found: dict[tuple[str, str], list[float]] = {}
    for name, kind, ms in events:
        found.setdefault((name, kind), []).append(ms)
    return tuple(OperatorTime(*key, sum(times) / len(times), len(times)) for key, times in found.items())


def by_kind(times: Iterable[OperatorTime]) -> dict[str, float]:
    """Milliseconds per run by kind of operator, the largest first."""
    sums: dict[str, float] = {}
    for each in times:
        sums[each.kind] = sums.get(each.kind, 0.0) + each.mean_ms
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
