"""Search by gradient: train a supernet once, and read the network from it. Imports Keras."""

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lykeion.core import SILENT, Reporter, write_atomically
from lykeion.nas.design_space.space import format_genotype
from lykeion.nets.quiet_keras import keras
from lykeion.nets.training import History, Recipe, TrainingOptions, train

from .strategy import Budget, Event, FoundNetwork, Problem, SearchCost, SearchError, describe_event
from .supernet import MakeSlot, Price, Supernet

CROSSINGS = 8.0
"""The least total movement of decisions at the full rate, for short trainings; a gate starts 1 from its edge."""

RECORDS = 200
"""Maximum number of lines of history."""

NOTICE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Decider:
    """What a gradient strategy consists of: its slots, the name of the variables that decide, their learning rate."""

    make_slot: MakeSlot
    variables: str
    rate: float


def search_by_gradient(
    decider: Decider, problem: Problem, budget: Budget, run: Path, reporter: Reporter
) -> FoundNetwork:
    """Train a supernet for the steps of the budget, and read the network from it. Raises SearchError."""
    supernet, history, events = train_supernet(decider, problem, budget, run, reporter)
    genotype = supernet.genotype()
    usage = problem.table.total(genotype)
    if not math.isclose(usage, supernet.usage(), rel_tol=1e-4):
        raise AssertionError(
            f"by the supernet its network takes {supernet.usage()}, by the table {usage} {problem.table.unit}: "
            f"{format_genotype(genotype)}"
        )
    cost = SearchCost(history.steps, history.seconds)
    if usage > problem.target:
        return FoundNetwork(None, None, None, cost, events)
    return FoundNetwork(genotype, history.epochs[-1]["val_accuracy"], usage, cost, events)


def train_supernet(
    decider: Decider, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT
) -> tuple[Supernet, History, tuple[Event, ...]]:
    """The supernet at the end of its training, which resumes in ``run``. Raises SearchError."""
    if budget.steps is None:
        raise SearchError("a supernet trains for a number of steps; give the budget in steps")
    rate = max(decider.rate, CROSSINGS / budget.steps)
    recipe: Recipe = replace(problem.recipe, steps=budget.steps, optimizer="adamw", ema=0.0, seed=problem.seed)
    supernet = Supernet(
        problem.space,
        problem.table,
        decider.make_slot,
        Price(problem.target),
        budget.steps,
        decision_rate=rate,
        momentum=recipe.norm_momentum(budget.steps),
        seed=problem.seed,
    )
    recorder = Recorder(supernet, run / "decisions.jsonl", reporter)
    history = train(
        supernet,
        problem.data,
        recipe,
        run / "supernet",
        TrainingOptions(
            callbacks=[recorder],
            multiplier=lambda variable: rate / recipe.learning_rate if variable.name == decider.variables else 1.0,
            settings={"space": problem.space.name, "profile": problem.table.name, "target": problem.target},
        ),
        reporter=reporter,
    )
    return supernet, history, tuple(recorder.events)


class Recorder(keras.callbacks.Callback):
    """Records accuracy, latency and decisions at intervals; after an interruption, from the checkpoint on."""

    def __init__(self, supernet: Supernet, path: Path, reporter: Reporter) -> None:
        super().__init__()
        self._supernet, self._path, self._reporter = supernet, path, reporter
        self._noticed = time.monotonic()
        self._every = math.ceil(supernet.total_steps / RECORDS)
        self._step = 0
        lines = path.read_text().splitlines() if path.exists() else []
        self.events: list[Event] = [json.loads(line) for line in lines]

    def on_train_begin(self, logs: Any = None) -> None:
        self._step = round(self._supernet.state()["step"])
        self.events = [event for event in self.events if event["step"] <= self._step]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        if self._step % self._every and self._step != self._supernet.total_steps:
            return
        if keras.backend.backend() == "jax":  # it trains on copies of the variables
            self._supernet.jax_state_sync()
        state, genotype = self._supernet.state(), self._supernet.genotype()
        event = {
            "step": self._step,
            **{name: float(value) for name, value in (logs or {}).items()},
            "usage": self._supernet.table.total(genotype),
            "price": math.exp(state["log_price"]),
            "settled": bool(state["settled"]),
            "genotype": format_genotype(genotype),
            "decisions": self._supernet.watched(),
        }
        self.events.append(event)
        if time.monotonic() - self._noticed >= NOTICE_EVERY_S:
            self._noticed = time.monotonic()
            self._reporter.notice(describe_event(event, self._supernet.table.unit))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        lines = "".join(json.dumps(event) + "\n" for event in self.events)
        write_atomically(self._path, lines.encode())
