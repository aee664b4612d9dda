"""Which replica gets a request: a group by weight, and in it the replica with the fewest requests in flight."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from .route_table import RoutedService


@dataclass(frozen=True, slots=True)
class Target:
    group: str
    replica: str
    port: int


class ReplicaChoice:
    """``in_flight`` counts requests by replica."""

    def __init__(self, source: random.Random | None = None) -> None:
        self._random = source or random.Random()  # noqa: S311 - a distribution, not a secret
        self.in_flight: Counter[str] = Counter()

    def choose(self, service: RoutedService, tried: Collection[Target] = ()) -> Target | None:
        """A replica that was not tried, in the group of those that were if there is one; None if there is none."""
        ids = {each.replica for each in tried}
        groups = {each.name: each for each in service.groups if each.weight}
        open_ = {name: [one for one in each.replicas if one.id not in ids] for name, each in groups.items()}
        names = [name for name, replicas in open_.items() if replicas]
        if not names:
            return None
        again = [each.group for each in tried if each.group in names]
        name = again[0] if again else names[0] if len(names) == 1 else self._weighted(service, names)
        replica = min(open_[name], key=lambda one: (self.in_flight[one.id], self._random.random()))
        return Target(name, replica.id, replica.port)

    def enter(self, target: Target) -> None:
        self.in_flight[target.replica] += 1

    def leave(self, target: Target) -> None:
        self.in_flight[target.replica] -= 1
        if not self.in_flight[target.replica]:
            del self.in_flight[target.replica]

    def _weighted(self, service: RoutedService, names: list[str]) -> str:
        weights = {each.name: each.weight for each in service.groups}
        return self._random.choices(names, [weights[name] for name in names])[0]
