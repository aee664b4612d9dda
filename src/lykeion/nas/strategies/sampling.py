"""Strategies that sample: propose a network, train it from scratch for a proxy budget, learn from its accuracy."""

import math
from pathlib import Path
from typing import Protocol

import numpy as np

from lykeion.core import SILENT, Reporter
from lykeion.nas.design_space.space import Genotype, Space, format_genotype
from lykeion.nas.design_space.table import SlotTable

from .children import Child, Children, Evaluate
from .strategy import Budget, Event, FoundNetwork, Problem, SearchCost, describe_event

WINDOW = (0.9, 1.0)
"""The range of latencies, as fractions of the target, from which networks are drawn."""

_DRAWS, _CHANGES = 500, 1000


class Sampler(Protocol):
    """The part of a strategy that decides: no clock, no disk, and no randomness except from its seed."""

    def propose(self) -> Genotype: ...

    def learn(self, child: Child) -> None:
        """Learn from a trained child, which may differ from the proposed one if a table of children is replayed."""
        ...


class MakeSampler(Protocol):
    def __call__(self, space: Space, table: SlotTable, target: float, seed: int) -> Sampler: ...


def search_by_sampling(
    make: MakeSampler, problem: Problem, budget: Budget, run: Path, reporter: Reporter
) -> FoundNetwork:
    """Train the children that a sampler proposes. An interrupted search resumes from its table of children."""
    sampler = make(problem.space, problem.table, problem.target, problem.seed)
    evaluate = Children(problem.children or run / "children.jsonl", problem)
    return sample(sampler, evaluate, problem.table, problem.target, budget, problem.seed, reporter)


def sample(
    sampler: Sampler,
    evaluate: Evaluate,
    table: SlotTable,
    target: float,
    budget: Budget,
    seed: int,
    reporter: Reporter = SILENT,
) -> FoundNetwork:
    """Propose, evaluate and learn until the next child would exceed the budget.

    The next child is assumed to cost as much as the last. Each child is charged, even one seen before.
    """
    best: tuple[float, Genotype, float] | None = None
    spent, last, history = SearchCost(), SearchCost(), list[Event]()
    while budget.allows(spent + last):
        child = evaluate(sampler.propose(), seed)
        if not budget.allows(spent + child.cost):
            break
        spent, last = spent + child.cost, child.cost
        sampler.learn(child)
        usage = table.total(child.genotype)
        if usage <= target and (best is None or child.accuracy > best[0]):
            best = child.accuracy, child.genotype, usage
        event = {
            "child": len(history),
            "genotype": format_genotype(child.genotype),
            "accuracy": child.accuracy,
            "usage": usage,
            "best_accuracy": best[0] if best else None,
            "steps": spent.steps,
            "seconds": spent.seconds,
        }
        history.append(event)
        reporter.notice(describe_event(event, table.unit))
    accuracy, genotype, usage = best or (None, None, None)
    return FoundNetwork(genotype, accuracy, usage, spent, tuple(history))


def distance(usage: float, target: float) -> float:
    """How far a usage is outside the window, as the logarithm of a ratio; 0 inside."""
    share = usage / target
    return max(math.log(WINDOW[0] / share), math.log(share / WINDOW[1]), 0.0)


def draw_near(space: Space, table: SlotTable, target: float, rng: np.random.Generator) -> Genotype:
    """A random network within the window: drawn uniformly, or, if these are rare, reached by random changes.

    If neither succeeds, the nearest that was seen.
    """

    def away(genotype: Genotype) -> float:
        return distance(table.total(genotype), target)

    nearest = space.sample(rng)
    for attempt in range(_DRAWS + _CHANGES):
        if not away(nearest):
            break
        other = space.sample(rng) if attempt < _DRAWS else space.mutate(nearest, rng)
        nearest = min(nearest, other, key=away)
    return nearest
