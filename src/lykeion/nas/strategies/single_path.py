"""Single-Path NAS (arXiv:1904.02877): one superkernel per slot, whose gates are trained with its weights."""

from pathlib import Path

from lykeion.core import SILENT, Reporter

from .gradient import Decider, search_by_gradient
from .strategy import Budget, FoundNetwork, Problem
from .superkernel import Superkernel

THRESHOLDS = Decider(Superkernel, "thresholds", rate=1e-2)
"""A gate starts at a distance of about 1 from its edge."""


class SinglePath:
    name = "single-path"

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork:
        return search_by_gradient(THRESHOLDS, problem, budget, run, reporter)
