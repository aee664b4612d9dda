"""Children: networks trained from scratch for a proxy budget, kept in a table that searches share.

The table is a JSON Lines file. A child's key is its genotype, the recipe, the data and the seed; a search that asks
for an existing child gets it immediately and is charged its cost.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lykeion import nets
from lykeion.core import SILENT, Journal, digest_json, stop_here
from lykeion.nas.design_space.space import Genotype, SpaceError, format_genotype, parse_genotype
from lykeion.nets import training

from .strategy import Problem, SearchCost, SearchError


@dataclass(frozen=True, slots=True)
class Child:
    """A trained network: its accuracy on the validation set, and the cost of training and evaluating it."""

    genotype: Genotype
    accuracy: float
    cost: SearchCost


class Evaluate(Protocol):
    def __call__(self, genotype: Genotype, seed: int) -> Child: ...


class Children:
    """Trains children of a problem, each once. An interruption loses at most the one being trained."""

    def __init__(self, path: Path, problem: Problem) -> None:
        self._path, self._problem = path, problem
        self._known = {child_key(row): child_of(row) for row in read_rows(path)}

    def __call__(self, genotype: Genotype, seed: int) -> Child:
        row = {"genotype": format_genotype(genotype), "setting": setting(self._problem), "seed": seed}
        key = child_key(row)
        if key not in self._known:
            child = train_child(self._problem, genotype, seed)
            cost = {"steps": child.cost.steps, "seconds": child.cost.seconds}
            _table(self._path).append({**row, "accuracy": child.accuracy, **cost})
            self._known[key] = child
            stop_here(f"{len(self._known):,} children are in {self._path}")
        return self._known[key]


def train_child(problem: Problem, genotype: Genotype, seed: int) -> Child:
    """Train a network of the space from scratch by the problem's recipe."""
    recipe = replace(problem.recipe, seed=seed)
    momentum = recipe.norm_momentum(recipe.total_steps(len(problem.data.train)))
    model = nets.build_keras(problem.space.architecture(genotype), batch_norm_momentum=momentum, seed=seed)
    history = training.train(model, problem.data, recipe, reporter=SILENT)
    return Child(genotype, history.epochs[-1]["val_accuracy"], SearchCost(history.steps, history.seconds))


def setting(problem: Problem) -> str:
    """Digest of everything that a child's accuracy depends on except its genotype and seed."""
    recipe = asdict(problem.recipe)
    recipe.pop("seed")
    return digest_json({"space": problem.space.name, "recipe": recipe, "data": problem.data.digest})


def child_key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["setting"], row["genotype"], row["seed"]


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table, without a last line that was cut off by an interruption. Raises SearchError."""
    for number, row in enumerate(_table(path), 1):
        try:
            child_of(row)
            child_key(row)
        except (ValueError, KeyError, TypeError, SpaceError):
            raise SearchError(f"{path}, line {number}: not a trained child; remove the line") from None
        yield row


def child_of(row: dict[str, Any]) -> Child:
    cost = SearchCost(int(row["steps"]), float(row["seconds"]))
    return Child(parse_genotype(row["genotype"]), float(row["accuracy"]), cost)


def _table(path: Path) -> Journal:
    return Journal(path, SearchError, "trained child")
