"""Trained children of a table in place of training, so that strategies run in milliseconds and over many seeds."""

from dataclasses import dataclass, field
from pathlib import Path

from lykeion.nas import Genotype, Problem, SearchError
from lykeion.nas.design_space.table import SlotTable
from lykeion.nas.strategies.children import Child, child_key, child_of, read_rows, setting


@dataclass(slots=True)
class Replay:
    """A table of children instead of training: whoever asks for a network gets the nearest in the table.

    Nearest is the fewest slots that differ, then the closest usage. This lets any strategy run in milliseconds,
    and so over many seeds; the strategies hear of the child they got.
    """

    children: list[Child]
    table: SlotTable
    _usages: list[float] = field(init=False)

    def __post_init__(self) -> None:
        if not self.children:
            raise SearchError("a table without children cannot be replayed; train some first")
        self._usages = [self.table.total(child.genotype) for child in self.children]

    def __call__(self, genotype: Genotype, seed: int) -> Child:
        usage = self.table.total(genotype)

        def away(place: int) -> tuple[int, float]:
            other = self.children[place].genotype
            differing = sum(ours != theirs for ours, theirs in zip(genotype, other, strict=True))
            return differing, abs(self._usages[place] - usage)

        return self.children[min(range(len(self.children)), key=away)]


def read_children(path: Path, problem: Problem) -> list[Child]:
    """The problem's children in a table, of any seed, each once, whoever trained it. Raises SearchError."""
    wanted = setting(problem)
    return list({child_key(row): child_of(row) for row in read_rows(path) if row["setting"] == wanted}.values())
