"""Simulated people who search by photo, and whose preference is known: they want photos of their query's class.

Each searches several times; an answer of the class is clicked with a probability that falls with its place, any other
one rarely. What they do arrives as events: late, some after the cut-off, some again, in any order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lykeion.delivery.experiments import Experiment, assigned_arm, team_draft
from lykeion.delivery.experiments.events import UnitEvent
from lykeion.delivery.experiments.statistics import Values

DAY_S = 3_600.0
"""Of a simulated day: events of a month are in few files, as they would be if they came one by one."""
K = 10
WANTED, OTHER = 0.3, 0.01
"""Probabilities of a click at the first place."""
AGAIN, LATE = 0.1, 0.2
"""Shares of events that are sent again, and that are late: by a day on average."""


@dataclass(frozen=True)
class SearchEngine:
    """``right`` says of each query's K answers, best first, whether they are of its class: bool (queries, K);
    ``answers`` are the rows of the catalogue."""

    name: str
    answers: Values
    right: Values

    @property
    def precision(self) -> float:
        return float(self.right.mean())


def engine(name: str, catalogue: Values, labels: Values, queries: Values, query_labels: Values) -> SearchEngine:
    """Exact search by cosine; vectors are rows of float32."""
    rows, asked = (each / (np.linalg.norm(each, axis=1, keepdims=True) + 1e-9) for each in (catalogue, queries))
    answers = np.empty((len(asked), K), np.int64)
    for begin in range(0, len(asked), 500):
        near = asked[begin : begin + 500] @ rows.T
        found = np.argpartition(-near, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(near, found, axis=1), axis=1, kind="stable")
        answers[begin : begin + 500] = np.take_along_axis(found, order, axis=1)
    return SearchEngine(name, answers, labels[answers] == query_labels[:, None])


def searches(
    experiment: Experiment, engines: Sequence[SearchEngine], people: int, start: float, days: float, seed: int
) -> Iterator[UnitEvent]:
    """What is received. Before they are exposed, people search with the first engine, as everybody did."""
    rng = np.random.default_rng(seed)
    names = [each.name for each in experiment.spec.arms]
    for number in range(people):
        person = f"person-{number}"
        arm = assigned_arm(experiment.spec, experiment.metadata.uid, person)
        if arm is None:
            continue
        engine, began = engines[names.index(arm)], start + rng.random() * days * DAY_S
        yield from _received(
            rng, UnitEvent("x", person, "exposure", began, began, 1.0, experiment.metadata.name, arm)
        )
        keen = 1 + rng.poisson(rng.gamma(1.0, 2.0))
        for which in range(2 * keen):
            before = which < keen
            at = began + (-1 if before else 1) * (rng.random() * 5 * DAY_S + 1)
            yield from _searched(rng, person, which, at, engines[0] if before else engine)


def interleaved_searches(
    experiment: Experiment, engines: Sequence[SearchEngine], labels: Values, query_labels: Values, people: int,
    start: float, seed: int,
) -> Iterator[UnitEvent]:  # fmt: skip
    """Everybody sees answers of both engines in one list."""
    rng = np.random.default_rng(seed)
    for number in range(people):
        person, at = f"person-{number}", start + number
        yield UnitEvent("x", person, "exposure", at, at, 1.0, experiment.metadata.name, "interleaved")
        query = int(rng.integers(len(query_labels)))
        first, second = (list(map(int, each.answers[query])) for each in engines)
        for place, (answer, team) in enumerate(team_draft(first, second, K, f"{person} {query}")):
            if rng.random() < _chance(bool(labels[answer] == query_labels[query]), place):
                name = experiment.spec.arms[team].name
                yield UnitEvent(f"c{place}", person, "click", at + 1, at + 1, arm=name)


def _searched(
    rng: np.random.Generator, person: str, which: int, at: float, engine: SearchEngine
) -> Iterator[UnitEvent]:
    yield from _received(rng, UnitEvent(f"s{which}", person, "search", at, at))
    for place, right in enumerate(engine.right[rng.integers(len(engine.right))]):
        if rng.random() < _chance(bool(right), place):
            yield from _received(rng, UnitEvent(f"c{which}.{place}", person, "click", at + place + 1, at + place + 1))


def _chance(right: bool, place: int) -> float:
    return (WANTED if right else OTHER) / np.log2(place + 2)


def _received(rng: np.random.Generator, event: UnitEvent) -> Iterator[UnitEvent]:
    came = event.at + (rng.exponential(DAY_S) if rng.random() < LATE else rng.random())
    first = _at(event, came)
    yield first
    if rng.random() < AGAIN:
        yield _at(event, came + rng.exponential(DAY_S))


def _at(event: UnitEvent, received: float) -> UnitEvent:
    return UnitEvent(
        event.id, event.unit, event.name, event.at, float(received), event.value, event.experiment, event.arm
    )
