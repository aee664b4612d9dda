"""A search: its request as plain data, its run directory, its result.

``python -m lykeion.nas.runs.searching RUN`` runs the request in the directory RUN, as a separate process.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lykeion.core import (
    CONSOLE,
    Reporter,
    claim_run,
    errors_as_exit_codes,
    fitting,
    read_bounded,
    read_json,
    stop_signals,
    working_in,
    write_atomically,
)
from lykeion.engines.choosing import DeviceProfile
from lykeion.engines.running import peak_bytes
from lykeion.nas.design_space.energy_table import EnergyTable
from lykeion.nas.design_space.named_spaces import find_space
from lykeion.nas.design_space.space import Space, format_genotype, parse_genotype
from lykeion.nas.design_space.table import SlotTable
from lykeion.nas.devices.latency import LatencyTable
from lykeion.nas.strategies import Budget, FoundNetwork, Problem, SearchCost, SearchError, find_strategy
from lykeion.nets.training import Dataset, Recipe, load_data

from .final import train_final

REQUEST, RESULT, HISTORY, ARCHITECTURE, PICTURE = (
    "request.json",
    "result.json",
    "history.jsonl",
    "architecture.json",
    "search.png",
)
_SCHEMA, _VERSION = "lykeion.architecture-search", 2
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class NasRequest:
    """Everything that a search's result depends on. ``data`` is a path; ``children`` is the path of a shared table.

    The network may take at most ``target_ms`` by ``profile``, or else at most ``target_uj`` of modelled energy.
    Raises SearchError unless exactly one of the targets is given, if it is not a number above 0, or if
    ``target_ms`` is given without a profile.
    """

    strategy: str
    space: str
    profile: DeviceProfile | None
    target_ms: float | None
    data: str
    recipe: Recipe
    budget: Budget
    seed: int = 0
    children: str | None = None
    target_uj: float | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if (self.target_ms is None) == (self.target_uj is None):
            raise SearchError("a search has one target: milliseconds or microjoules")
        if self.target_ms is not None and self.profile is None:
            raise SearchError("milliseconds are a device's: name its profile")
        if not 0 < self.target < math.inf:
            raise SearchError(f"a target of {self.target} is none; give a number above 0")

    @property
    def target(self) -> float:
        """The target in the unit of the table."""
        target = self.target_uj if self.target_ms is None else self.target_ms
        assert target is not None
        return target

    def table(self, space: Space) -> SlotTable:
        """The table of the cost that the target limits. Raises LatencyError."""
        if self.target_uj is not None:
            return EnergyTable(space)
        assert self.profile is not None
        return LatencyTable(space, self.profile)

    def check(self) -> None:
        """Raises SpaceError if no network of the space is within the target, even for one class; LatencyError."""
        self.table(replace(find_space(self.space), classes=1)).check_target(self.target)

    def problem(self, space: Space, data: Dataset) -> Problem:
        """The problem for a strategy. Raises LatencyError; SpaceError if no network is within the target."""
        children, table = None if self.children is None else Path(self.children), self.table(space)
        table.check_target(self.target)
        return Problem(space, table, self.target, data, self.recipe, self.seed, children)

    def to_json(self) -> dict[str, Any]:
        """A JSON value, which ``from_json`` reads."""
        names = ("strategy", "space", "target_ms", "target_uj", "data", "seed", "children")
        return {
            "schema": _SCHEMA,
            "version": _VERSION,
            **{name: getattr(self, name) for name in names},
            "profile": None if self.profile is None else self.profile.to_json(),
            "recipe": self.recipe.to_json(),
            "budget": asdict(self.budget),
            **({"skip_bad": True} if self.skip_bad else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "NasRequest":
        """Raises SearchError, ProfileError, RecipeError."""
        plain = dict(value)
        if (plain.pop("schema", None), plain.pop("version", None)) != (_SCHEMA, _VERSION):
            raise SearchError("not a search of this release: its schema or version is another; search again")
        try:
            device = plain.pop("profile")
            profile = None if device is None else DeviceProfile.from_json(device)
            recipe, budget = Recipe.from_json(plain.pop("recipe")), Budget(**plain.pop("budget"))
            return cls(profile=profile, recipe=recipe, budget=budget, **plain)
        except (KeyError, TypeError) as error:
            raise SearchError(f"not a search request: {error}") from None


@stop_signals()
def search(
    request: NasRequest, run: Path, *, data: Dataset | None = None, reporter: Reporter = CONSOLE
) -> FoundNetwork:
    """Run a request in a directory, or resume it there. Its result is kept; a second call returns it.

    ``data`` is the content of the request's path, if it is loaded already. Raises SearchError, SpaceError, and
    Interrupted after SIGINT or SIGTERM, once the current step of the search is complete.
    """
    begin(request, run)
    with working_in(run, SearchError):
        if (run / RESULT).exists():
            return read_result(run)
        space, data = open_space(request.space, request.data, reporter, data, skip_bad=request.skip_bad)
        problem = request.problem(space, data)
        found = find_strategy(request.strategy).search(problem, request.budget, run, reporter)
        found = replace(found, cost=replace(found.cost, peak_bytes=peak_bytes()))
        _keep(request, problem, found, run)
        return found


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """The network found, its cost by each available table, and its accuracy on the validation set after training.
    What was not found or not asked for is None. ``skipped`` are photos that were left out."""

    found: FoundNetwork
    skipped: tuple[str, ...] = ()
    network: str | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None
    final_accuracy: float | None = None


def search_and_train(
    request: NasRequest, run: Path, final: Recipe | None = None, *, reporter: Reporter = CONSOLE
) -> SearchOutcome:
    """Search in a directory, and train the network found by the recipe ``final``, if given, in ``trained`` below it.

    Raises what ``search`` and ``train_final`` raise.
    """
    request.check()  # before the photos are read
    space, data = open_space(request.space, request.data, reporter, skip_bad=request.skip_bad)
    found = search(request, run, reporter=reporter, data=data)
    if found.genotype is None:
        return SearchOutcome(found, data.skipped)
    accuracy = None
    if final is not None:
        architecture = space.architecture(found.genotype)
        accuracy = train_final(architecture, data, final, run / "trained", reporter=reporter).accuracy
    return SearchOutcome(
        found,
        data.skipped,
        format_genotype(found.genotype),
        None if request.profile is None else LatencyTable(space, request.profile).total(found.genotype),
        EnergyTable(space).total(found.genotype),
        accuracy,
    )


def begin(request: NasRequest, run: Path) -> None:
    """Claim the directory for the request. Raises SearchError if it is another request's, and what
    ``NasRequest.check`` raises."""
    request.check()
    claim_run(run / REQUEST, "search", request.to_json(), SearchError)


def read_result(run: Path) -> FoundNetwork:
    """The result of a completed search in a directory. Raises SearchError."""
    path = run / RESULT
    plain = read_json(path, SearchError, "search's result", limit=_MAX_BYTES)
    with fitting(SearchError, "search's result", where=f"{path}: "):
        genotype = None if plain["genotype"] is None else parse_genotype(plain["genotype"])
        lines = read_bounded(run / HISTORY, SearchError, "search's history", limit=_MAX_BYTES).splitlines()
        history = tuple(map(json.loads, lines))
        return FoundNetwork(genotype, plain["accuracy"], plain["usage"], SearchCost(**plain["cost"]), history)


def open_space(
    name: str, path: str, reporter: Reporter, data: Dataset | None = None, *, skip_bad: bool = False
) -> tuple[Space, Dataset]:
    """A named space for a data set's classes, and the data set at the space's size. Raises SpaceError, DataError."""
    space = find_space(name)
    if data is None:
        data = load_data(
            path,
            height=space.height,
            width=space.width,
            channels=space.channels,
            skip_bad=skip_bad,
            reporter=reporter,
        )
    return replace(space, classes=len(data.classes)), data


def main() -> None:
    run = Path(sys.argv[1])
    with errors_as_exit_codes():
        request = read_json(run / REQUEST, SearchError, "search", limit=_MAX_BYTES)
        search(NasRequest.from_json(request), run)


def _keep(request: NasRequest, problem: Problem, found: FoundNetwork, run: Path) -> None:
    from .search_pictures import draw_search

    lines = "".join(json.dumps(event) + "\n" for event in found.history)
    write_atomically(run / HISTORY, lines.encode())
    limited = f"{problem.table.quantity}, {problem.table.unit}"
    draw_search(found.history, request.strategy, problem.target, limited, run / PICTURE)
    genotype = None
    if found.genotype is not None:
        genotype = format_genotype(found.genotype)
        architecture = problem.space.architecture(found.genotype)
        write_atomically(run / ARCHITECTURE, json.dumps(architecture.to_json(), indent=1).encode())
    result = {
        "genotype": genotype,
        "accuracy": found.accuracy,
        "usage": found.usage,
        "unit": problem.table.unit,
        "cost": asdict(found.cost),
    }
    write_atomically(run / RESULT, json.dumps(result, indent=1).encode())  # last: if it exists, everything does


if __name__ == "__main__":
    main()
