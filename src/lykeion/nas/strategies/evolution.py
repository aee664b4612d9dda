"""Regularised evolution (Real et al. 2019, arXiv:1802.01548): mutate the best of a sample, remove the oldest.

Children outside the latency window are not trained: a mutation outside it is drawn again.
"""

from collections import deque
from pathlib import Path

import numpy as np

from lykeion.core import SILENT, Reporter
from lykeion.nas.design_space.space import Genotype, Space
from lykeion.nas.design_space.table import SlotTable

from .children import Child
from .sampling import distance, draw_near, search_by_sampling
from .strategy import Budget, FoundNetwork, Problem

POPULATION, SAMPLE = 16, 4
"""Smaller than the paper's 100 and 25, since budgets are tens of children, not tens of thousands."""

_ATTEMPTS = 100


class Evolution:
    name = "evolution"

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork:
        return search_by_sampling(EvolutionSampler, problem, budget, run, reporter)


class EvolutionSampler:
    def __init__(self, space: Space, table: SlotTable, target: float, seed: int) -> None:
        self._space, self._table, self._target = space, table, target
        self._rng = np.random.default_rng(seed)
        self._population: deque[Child] = deque(maxlen=POPULATION)

    def propose(self) -> Genotype:
        if len(self._population) < POPULATION:
            return draw_near(self._space, self._table, self._target, self._rng)
        rivals = self._rng.choice(len(self._population), SAMPLE, replace=False)
        parent = max((self._population[rival] for rival in rivals), key=self._fitness)
        child = self._space.mutate(parent.genotype, self._rng)
        for _ in range(_ATTEMPTS):
            if not self._away(child):
                break
            # Also from the child, not only from the parent: a faster choice makes room for a slower one.
            child = min((self._space.mutate(each, self._rng) for each in (child, parent.genotype)), key=self._away)
        return child

    def learn(self, child: Child) -> None:
        self._population.append(child)

    def _fitness(self, child: Child) -> float:
        """Accuracy; a child outside the window, which only a replayed table contains, ranks below all inside."""
        return child.accuracy - (1 if self._away(child.genotype) else 0)

    def _away(self, genotype: Genotype) -> float:
        return distance(self._table.total(genotype), self._target)
