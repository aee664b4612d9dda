"""The settings and the report of a comparison of strategies, as plain data."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lykeion.engines.choosing import DeviceProfile
from lykeion.engines.running import processor
from lykeion.nas.strategies import STRATEGIES, Budget, SearchCost, SearchError
from lykeion.nets.training import Recipe

from .baselines import BASELINES
from .significance import PairedDifference

RATES = (0.5, 1.0, 2.0)
"""Learning rates of the sweep, as multiples of the recipe's."""


@dataclass(frozen=True, slots=True)
class SearchComparison:
    """The settings of a comparison, as plain data.

    ``target`` is the name of a baseline, whose latency is the target and which is the rival; or milliseconds: then
    the rival is the baseline within the target that is best on the validation set. Searches aim at ``aim`` times the
    target, since predicted latency has an error of some per cent and the final latency is measured. ``cited_ms`` are
    published latencies of baselines on another device; those of networks found are then taken from the table.
    """

    strategies: tuple[str, ...]
    space: str
    profile: DeviceProfile
    target: str | float
    data: str
    budget: Budget
    search_recipe: Recipe
    recipe: Recipe
    seeds: int = 3
    rates: tuple[float, ...] = RATES
    baselines: tuple[str, ...] = BASELINES
    cited_ms: Mapping[str, float] | None = None
    aim: float = 0.97
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if unknown := [name for name in self.strategies if name not in STRATEGIES]:
            raise SearchError(f"strategy {unknown[0]!r} is unknown; use one of {', '.join(STRATEGIES)}")
        if isinstance(self.target, str) and self.target not in self.baselines:
            raise SearchError(f"target {self.target!r} is none of the baselines: {', '.join(self.baselines)}")
        if not isinstance(self.target, str) and not 0 < self.target < math.inf:
            raise SearchError(f"a target of {self.target} ms is none; give a number above 0")
        if self.cited_ms is not None and (uncited := set(self.baselines) - set(self.cited_ms)):
            raise SearchError(f"no latency is cited for baseline {min(uncited)!r}; leave it out")
        if self.cited_ms is None and self.profile.soc != processor():
            raise SearchError(
                f"profile {self.profile.name!r} is of {self.profile.soc!r}, and latency is measured on this machine "
                "in the end; run the comparison there"
            )

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in self.__slots__ if name != "skip_bad" or self.skip_bad},
            "profile": self.profile.to_json(),
            "budget": asdict(self.budget),
            "search_recipe": self.search_recipe.to_json(),
            "recipe": self.recipe.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """A row of the report: a strategy or a baseline, with one network per seed. Latencies and costs are means.

    ``difference`` is to the rival; None for the rival itself and if nothing was found.
    """

    name: str
    kind: str
    networks: tuple[str, ...]
    latency_ms: float
    worst_latency_ms: float
    predicted_ms: float | None
    validation_accuracy: float
    test_accuracy: float
    test_spread: float
    learning_rate: float
    search_cost: SearchCost | None
    difference: PairedDifference | None
    verdict: str


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    target_ms: float
    rival: str
    entries: tuple[ComparedNetwork, ...]
    not_found: Mapping[str, int]
    """How many searches of a strategy found no network within the target."""
    noise: float | None
    """How quiet the machine was: by how much the reference's median pass exceeded its best."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
