"""The inputs and results of every strategy, and how its budget is counted."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from lykeion.core import SILENT, Invalid, Reporter
from lykeion.nas.design_space.space import Genotype, Space
from lykeion.nas.design_space.table import SlotTable
from lykeion.nets.training import Dataset, Recipe

Event: TypeAlias = Mapping[str, Any]
"""One line of a search's history, a JSON object."""


class SearchError(Invalid):
    """A search that cannot be run as asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class SearchCost:
    """What was spent: training steps, seconds of training and evaluating, and the process's peak memory."""

    steps: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0

    def __add__(self, other: "SearchCost") -> "SearchCost":
        return SearchCost(
            self.steps + other.steps, self.seconds + other.seconds, max(self.peak_bytes, other.peak_bytes)
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: training steps of the problem's batch size, and seconds. None means no limit.

    Raises SearchError.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 <= value < math.inf:
                raise SearchError(f"a budget of {value} {name} is none; give a number")

    def allows(self, cost: SearchCost) -> bool:
        return (self.steps is None or cost.steps <= self.steps) and (
            self.seconds is None or cost.seconds <= self.seconds
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Find the most accurate network of ``space`` that by ``table`` takes at most ``target``, in the table's unit.

    ``recipe`` is how a network is trained during the search: a child of a strategy that samples, or, with the steps
    of the budget, a supernet. The test set of ``data`` is never used. ``children`` is a table of trained
    children that several searches may share; by default each has its own.
    """

    space: Space
    table: SlotTable
    target: float
    data: Dataset
    recipe: Recipe
    seed: int = 0
    children: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundNetwork:
    """The network that a search chose, or None if it saw none within the target.

    ``usage`` is its cost by the problem's table. ``accuracy`` is the search's own estimate on the validation
    set: of the child trained for the proxy budget, or of the supernet with the chosen gates.
    """

    genotype: Genotype | None
    accuracy: float | None
    usage: float | None
    cost: SearchCost
    history: tuple[Event, ...]


class Strategy(Protocol):
    """A way to search. ``search`` keeps in the directory ``run`` what it needs to resume after an interruption."""

    name: str

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork: ...


def describe_event(event: Event, unit: str) -> str:
    """A child, or a step of a supernet, in one line."""
    done = f"step {event['step']:,}" if "step" in event else f"child {event['child'] + 1}"
    return f"{done}: accuracy {event['accuracy']:.4f}, {event['usage']:.4g} {unit}, {event['genotype']}"
