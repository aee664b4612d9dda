"""The order of steps: what each depends on, and what is wrong with a graph."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from lykeion.core.expression import WhereError, leaves
from lykeion.core.grammar import parse

from .step_references import references


class AnyStep(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> Sequence[str]: ...
    @property
    def when(self) -> str | None: ...


def filter_columns(when: str) -> frozenset[str]:
    """The values that a filter compares. Raises WhereError."""
    return frozenset(leaf.column for leaf in leaves(parse(when)))


def dependencies(step: AnyStep) -> frozenset[str]:
    """The names of the steps that come before a step."""
    named = references(step) | (filter_columns(step.when) if step.when else frozenset[str]())
    return frozenset(step.needs) | {each.split(".")[1] for each in named if each.startswith("steps.")}


def in_order(steps: Iterable[AnyStep]) -> tuple[str, ...]:
    """The names of steps, each after those that it depends on. Raises CycleError."""
    return tuple(TopologicalSorter({step.name: dependencies(step) for step in steps}).static_order())


def downstream(steps: Sequence[AnyStep], first: str) -> frozenset[str]:
    """A step, and all that depend on it."""
    by_name = {step.name: dependencies(step) for step in steps}
    found = {first}
    for name in in_order(steps):
        if by_name.get(name, frozenset[str]()) & found:
            found.add(name)
    return frozenset(found)


def problem_of(
    steps: Sequence[AnyStep], before: Sequence[AnyStep] = (), outputs: Mapping[str, set[str]] | None = None
) -> str:
    """What is wrong with a graph of steps, or an empty string. ``before`` are steps that have ended by then."""
    known = {step.name for step in (*steps, *before)}
    if len(known) < len(steps) + len(before):
        return "two steps have one name"
    for step in steps:
        try:
            unknown, columns = dependencies(step) - known, filter_columns(step.when) if step.when else ()
        except WhereError as error:
            return f"step {step.name}: when: {error}"
        if unknown:
            return f"step {step.name} depends on {min(unknown)}, which is no step"
        for each in references(step):
            if wrong := _wrong_reference(each, outputs or {}, at_exit=bool(before)):
                return f"step {step.name}: $({each}) {wrong}"
        for each in columns:
            wrong = _wrong_reference(each, outputs or {}, at_exit=bool(before))
            if wrong and not (each.startswith("steps.") and each.endswith(".outcome")):
                return f"step {step.name}: when: {each} {wrong}"
    try:
        in_order(steps)
    except CycleError as error:
        return f"steps depend on one another: {' → '.join(error.args[1])}"
    return ""


def _wrong_reference(reference: str, outputs: Mapping[str, set[str]], *, at_exit: bool) -> str:
    match reference.split("."):
        case ["run", "outcome"] if not at_exit:
            return "is known to exit steps alone"
        case ["parameters", _] | ["run", "name" | "namespace" | "outcome"] | ["steps", _, "model"]:
            return ""
        case ["steps", _, "results", _]:
            return ""
        case ["steps", step, "outputs", name]:
            return "" if name in outputs.get(step, set()) else "is no output of that step"
        case _:
            return (
                "is no reference; there are parameters.NAME, steps.STEP.outputs.NAME, steps.STEP.results.NAME, "
                "steps.STEP.model, run.name, run.namespace and run.outcome"
            )
