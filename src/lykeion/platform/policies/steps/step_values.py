"""The values that references of steps stand for, from the steps that have ended."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from lykeion.control import Metadata, read_as
from lykeion.core import Invalid
from lykeion.core.documents import json_value, parse_json
from lykeion.core.fields import Field
from lykeion.platform.resources.pipelines import Phase, PipelineStep, StepStatus
from lykeion.platform.resources.plain_kinds import Values

GOOD: frozenset[Phase] = frozenset({"Succeeded", "Cached", "Reused"})
"""Phases of steps whose outputs can be used."""


class InvalidResult(Invalid):
    """A step's program wrote something that is no JSON object of scalars and lists, or a value that is not there."""


def values_of(
    metadata: Metadata, parameters: Mapping[str, str], steps: Sequence[StepStatus], outcome: str = ""
) -> dict[str, Any]:
    """Values by reference: text, numbers, truth values and lists. Raises InvalidResult."""
    values: dict[str, Any] = {f"parameters.{name}": value for name, value in parameters.items()}
    values |= {"run.name": metadata.name, "run.namespace": metadata.namespace, "run.outcome": outcome}
    for step in steps:
        values[f"steps.{step.name}.outcome"] = step.phase
        if step.phase in GOOD:
            values |= {f"steps.{step.name}.outputs.{name}": each for name, each in step.outputs.items()}
            results = parsed_results(step.results)
            values |= {f"steps.{step.name}.results.{name}": value for name, value in results.items()}
            if "model" in step.outputs:
                values[f"steps.{step.name}.model"] = step.outputs["model"]
    return values


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as they replace references: text as it is, all else as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def parsed_results(text: str) -> dict[str, Any]:
    """The results that a program wrote. Raises InvalidResult."""
    if not text.strip():
        return {}
    found = parse_json(text, InvalidResult, "result")
    if not all(map(_is_plain, found.values())):
        raise InvalidResult("the result is not a JSON object of text, numbers, truth values and lists of them")
    return found


def items_of(text: str) -> tuple[str, ...]:
    """The items of ``forEach``, once its references are replaced. Raises InvalidResult."""
    found = json_value(text, InvalidResult, "list", where=f"forEach is {text[:80]!r}, ")
    if not isinstance(found, list) or not _is_plain(found):
        raise InvalidResult("forEach is not a JSON list of text and numbers")
    items = [each if isinstance(each, str) else json.dumps(each) for each in cast(list[Any], found)]
    return read_as(cast("type[tuple[str, ...]]", Values), Field("forEach", items, InvalidResult))


def cache_key(step: PipelineStep, inputs: Mapping[str, str]) -> str:
    """Equal for steps that run the same program on the same inputs; ``step`` has its references replaced."""
    what = [
        msgspec.to_builtins(step.program),
        step.for_each,
        sorted(inputs.items()),
        [[each.name, each.directory] for each in step.outputs],
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str | int | float) for each in cast(list[Any], value))
    return isinstance(value, str | int | float)
