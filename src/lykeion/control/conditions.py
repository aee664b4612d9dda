"""Conditions that follow Kubernetes' API conventions: one per type, looked up by type and never by position."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, structs

from .resource import Time, Wire

Truth = Literal["True", "False", "Unknown"]


class Condition(Wire, frozen=True):
    type: Annotated[str, Meta(max_length=63)]
    status: Truth
    reason: Annotated[str, Meta(max_length=63)] = ""
    message: Annotated[str, Meta(max_length=1024)] = ""
    observed_generation: int = 0
    last_transition_time: Time | None = None


Conditions = Annotated[
    tuple[Condition, ...],
    Meta(max_length=16, extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


def condition_of(conditions: Iterable[Condition], type_: str) -> Condition | None:
    return next((each for each in conditions if each.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    found = condition_of(conditions, type_)
    return found is not None and found.status == "True"


def merged(
    before: tuple[Condition, ...], now: datetime, *changes: Condition, generation: int = 0
) -> tuple[Condition, ...]:
    """The conditions, with those of the same type replaced by ``changes``, as observed at ``generation``.

    The transition time is kept while the status does not change, as ``kubectl wait`` and others expect.
    """
    by_type = {each.type: each for each in before}
    for change in changes:
        old = by_type.get(change.type)
        same = old is not None and old.status == change.status
        since = old.last_transition_time if old is not None and same else now
        by_type[change.type] = structs.replace(
            change, last_transition_time=since, message=change.message[:1024], observed_generation=generation
        )
    return tuple(by_type.values())
