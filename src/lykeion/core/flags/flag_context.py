"""What a flag is evaluated with: attributes of a unit, features, groups, and assignments that are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lykeion.core.bucketing import bucket_of

from .script_values import text

Document: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class FlagContext:
    """What is known of a unit, and all features by name.

    ``sticky`` has the assignments that are kept, by ``ATTRIBUTE||VALUE``: documents with ``assignments``.
    """

    attributes: Document
    features: Mapping[str, Document] = field(default_factory=dict[str, Document])
    groups: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    forced: Mapping[str, int] = field(default_factory=dict[str, int])
    sticky: Mapping[str, Document] | None = None
    enabled: bool = True
    only_forced: bool = False
    """Of quality assurance: units get no variation but those that are forced."""
    url: str = ""

    def unit(self, attribute: str, fallback: str = "") -> tuple[str, str]:
        """The attribute by which a unit is divided, and its value; empty if there is none."""
        for name in filter(None, (attribute, fallback)):
            if value := self.attributes.get(name):
                return name, text(value)
        return attribute, ""


def is_filtered_out(context: FlagContext, filters: Sequence[Document]) -> bool:
    """Whether a unit is outside the ranges of any of the filters."""
    return not all(_passes(context, each) for each in filters)


def _passes(context: FlagContext, each: Document) -> bool:
    _, unit = context.unit(each.get("attribute") or "id")
    version = each.get("hashVersion") or 2
    if not unit or version not in (1, 2):
        return False
    bucket = bucket_of(each["seed"], unit, version)
    return any(start <= bucket < end for start, end in each["ranges"])
