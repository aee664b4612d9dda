"""A network's final training, its accuracy on the test set, and its measured latency."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion import nets
from lykeion.core import CONSOLE, Reporter, digest_json, fitting, read_json, write_atomically
from lykeion.engines.choosing import Timing, TimingJournal, litert_candidate, measure
from lykeion.engines.running import Plan
from lykeion.nas.devices.profiling import reference
from lykeion.nas.strategies import SearchCost, SearchError
from lykeion.nets import Architecture, random_weights, training, write_litert
from lykeion.nets.training import Dataset, Recipe

_DONE = "trained.json"
_PLAN = Plan(passes=12, most=40)
"""More passes than usual, since there are few whole networks and their latency is reported."""


@dataclass(frozen=True, slots=True)
class Trained:
    """``accuracy`` is on the validation set."""

    accuracy: float
    cost: SearchCost


def train_final(
    architecture: Architecture, data: Dataset, recipe: Recipe, run: Path, *, reporter: Reporter = CONSOLE
) -> Trained:
    """Train from scratch in a directory, or resume there; returns immediately if the training is complete.

    Raises SearchError if the directory holds the training of something else, TrainingError.
    """
    path = run / _DONE
    asked = digest_json({"architecture": architecture.to_json(), "recipe": recipe.to_json(), "data": data.digest})
    if not path.exists():
        report = training.train_network(architecture, data, recipe, run, reporter=reporter)
        history = report.history
        done = {"accuracy": report.validation_accuracy, "steps": history.steps, "seconds": history.seconds}
        write_atomically(path, json.dumps({"asked": asked, **done}).encode())
    done = read_json(path, SearchError, "final training")
    if done.get("asked") != asked:
        raise SearchError(f"{run} holds a final training by other settings; delete it to train again")
    with fitting(SearchError, "final training", where=f"{path}: "):
        return Trained(done["accuracy"], SearchCost(done["steps"], done["seconds"]))


def correct_on_test(data: Dataset, run: Path) -> np.ndarray:
    """Which photos of the test set the network trained in a directory classifies correctly, bool (photos,)."""
    architecture, weights = training.load_network(run)
    model = nets.build_keras(architecture)
    nets.load_keras_weights(model, weights)
    return training.evaluate(model, data.test).correct


def time_networks(
    networks: Mapping[str, Architecture], threads: int, journal: Path, *, reporter: Reporter = CONSOLE
) -> dict[str, Timing]:
    """Latency of whole networks on this machine with LiteRT, measured in turns. Raises TimingError."""
    return measure(
        {
            name: litert_candidate(write_litert(network, random_weights(network), output="logits"), threads)
            for name, network in networks.items()
        },
        reference=reference(threads),
        threads=threads,
        journal=TimingJournal(journal, {"networks": sorted(networks), "threads": threads}),
        plan=_PLAN,
        reporter=reporter,
    )
