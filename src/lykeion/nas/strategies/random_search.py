"""Random search: networks drawn within the latency window; the best child wins."""

from pathlib import Path

import numpy as np

from lykeion.core import SILENT, Reporter
from lykeion.nas.design_space.space import Genotype, Space
from lykeion.nas.design_space.table import SlotTable

from .children import Child
from .sampling import draw_near, search_by_sampling
from .strategy import Budget, FoundNetwork, Problem


class RandomSearch:
    name = "random"

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork:
        return search_by_sampling(RandomSampler, problem, budget, run, reporter)


class RandomSampler:
    def __init__(self, space: Space, table: SlotTable, target: float, seed: int) -> None:
        self._space, self._table, self._target = space, table, target
        self._rng = np.random.default_rng(seed)

    def propose(self) -> Genotype:
        return draw_near(self._space, self._table, self._target, self._rng)

    def learn(self, child: Child) -> None:
        pass
