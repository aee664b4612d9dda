"""The values that references of steps stand for, from the steps that have ended."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from lykeion.control import Metadata
from lykeion.platform.resources.step_pipeline import Phase, PipelineStep, StepStatus

GOOD: frozenset[Phase] = frozenset({"Succeeded", "Cached", "Reused"})
"""Phases of steps whose outputs can be used."""
MAX_ITEMS = 1000


class InvalidResult(ValueError):
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
    try:
        found: Any = json.loads(text, parse_constant=_refuse)
    except ValueError:
        raise InvalidResult("the result is not a JSON object") from None
    if not isinstance(found, dict) or not all(map(_is_plain, cast(dict[str, Any], found).values())):
        raise InvalidResult("the result is not a JSON object of text, numbers, truth values and lists of them")
    return cast(dict[str, Any], found)


def items_of(text: str) -> tuple[str, ...]:
    """The items of ``forEach``, once its references are replaced. Raises InvalidResult."""
    try:
        found: Any = json.loads(text, parse_constant=_refuse)
    except ValueError:
        raise InvalidResult(f"forEach is {text[:80]!r}, which is not a JSON list") from None
    if not isinstance(found, list) or not all(isinstance(each, str | int | float) for each in cast(list[Any], found)):
        raise InvalidResult("forEach is not a JSON list of text and numbers")
    items = cast(list[Any], found)
    if len(items) > MAX_ITEMS:
        raise InvalidResult(f"forEach has {len(items)} items; at most {MAX_ITEMS} are allowed")
    return tuple(each if isinstance(each, str) else json.dumps(each) for each in items)


def cache_key(step: PipelineStep, inputs: Mapping[str, str]) -> str:
    """Equal for steps that run the same program on the same inputs; ``step`` has its references replaced."""
    what = [
        msgspec.to_builtins(step.program),
        step.for_each,
        sorted(inputs.items()),
        [[each.name, each.directory] for each in step.outputs],
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def pinned_image(image: str, digest: str) -> str:
    """An image by digest in place of its tag."""
    place, slash, name = image.rpartition("/")
    return f"{place}{slash}{name.partition(':')[0]}@{digest}"


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str | int | float) for each in cast(list[Any], value))
    return isinstance(value, str | int | float)
