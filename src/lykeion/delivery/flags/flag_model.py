"""A flag: a typed value that differs by rules, which units have which attributes, and a share of them."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta

from lykeion.control import SpecRule, Wire, read_as
from lykeion.core import Invalid
from lykeion.core.fields import Field

MAX_RULES = 64
MAX_VARIATIONS = 32
MAX_VALUE_BYTES = 65_536
EXACT = 2**53
"""Integers of JSON beyond it are not the same in every client."""

FlagType: TypeAlias = Literal["boolean", "string", "number", "json"]
FlagName = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^(?!constructor\Z)[a-z][a-z0-9_]*\Z",
        extra={"must be": "lower-case letters, digits and '_', at most 64, with a letter at the beginning"},
    ),
]
"""``constructor`` is a name that every object of JavaScript has."""
AttributeName = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^(?!(?:constructor|hasOwnProperty|isPrototypeOf|propertyIsEnumerable|to(?:Locale)?String|valueOf)\Z)"
        r"[A-Za-z][A-Za-z0-9_]*\Z",
        extra={"must be": "letters, digits and '_', at most 64, with a letter at the beginning"},
    ),
]
Seed = Annotated[str, Meta(max_length=128, pattern=r"^[!-~]*\Z", extra={"must be": "up to 128 visible characters"})]
Where = Annotated[str, Meta(max_length=4096)]


class FlagError(Invalid):
    """A flag that is not valid, or does not fit its environment; the message names the rule."""


class Variation(Wire, frozen=True):
    """One of the values that units are divided among."""

    name: Annotated[FlagName, Meta(description="In reports.")]
    value: Annotated[Any, Meta(description="Of the flag's type.")] = None
    weight: Annotated[
        float, Meta(gt=0, le=1_000_000, description="Its share, in proportion to those of the others.")
    ] = 1.0


class Prerequisite(Wire, frozen=True):
    """Another flag's value, without which a rule does not apply."""

    flag: Annotated[FlagName, Meta(description="The other flag, of the same environment.")]
    where: Annotated[Where, Meta(description="A condition on its `value`; by default that it is true.")] = "value"


class Namespace(Wire, frozen=True):
    """A part of a population. Rules with other parts of the same namespace have other units."""

    name: Annotated[FlagName, Meta(description="Of the division.")]
    start: Annotated[float, Meta(ge=0, le=1, description="Where its part begins.")] = 0.0
    end: Annotated[float, Meta(ge=0, le=1, description="Where it ends.")] = 1.0

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule("start has to be before end", "", lambda each: each.start < each.end),
    )


class FlagRule(Wire, frozen=True):
    """What some units get: a value, or one of several variations. The first rule of a flag that applies decides."""

    id: Annotated[FlagName, Meta(description="Of the rule in its flag; it keeps its units while it has the name.")]
    where: Annotated[Where, Meta(description="Only units with such attributes: `country = 'DE' and age >= 18`.")] = ""
    in_groups: Annotated[
        tuple[FlagName, ...], Meta(max_length=16, description="Only units that are in all of these saved groups.")
    ] = ()
    not_in_groups: Annotated[
        tuple[FlagName, ...], Meta(max_length=16, description="Only units that are in none of these.")
    ] = ()
    requires: Annotated[
        tuple[Prerequisite, ...], Meta(max_length=8, description="Only where other flags have such values.")
    ] = ()
    unit: Annotated[AttributeName, Meta(description="The attribute by which units are divided, a text.")] = "id"
    coverage: Annotated[
        float, Meta(ge=0, le=1, description="The share of units that it applies to. Raising it moves nobody.")
    ] = 1.0
    value: Annotated[Any, Meta(description="What its units get. Or give variations.")] = None
    variations: Annotated[
        tuple[Variation, ...], Meta(max_length=MAX_VARIATIONS, description="What its units are divided among.")
    ] = ()
    namespace: Annotated[Namespace, Meta(description="Only units of this part, with variations.")] | None = None
    experiment: Annotated[
        str,
        Meta(
            max_length=128,
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?\Z",
            description="Under which name clients report it; by default FLAG.RULE.",
            extra={"must be": "letters, digits, '.', '_' and '-'"},
        ),
    ] = ""
    sticky: Annotated[
        bool, Meta(description="Clients keep the variation that a unit got, also when weights change.")
    ] = False
    phase: Annotated[int, Meta(ge=1, description="Counts divisions of the units; kept by the store.")] = 1
    seed: Annotated[Seed, Meta(description="Of the division; made by the store if it is empty.")] = ""

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give either value or variations",
            "",
            lambda rule: (rule.value is None) == bool(rule.variations),
        ),
        SpecRule("variations have to be two at least", "", lambda rule: len(rule.variations) != 1),
        SpecRule(
            "variations need names of their own",
            "",
            lambda rule: _unique(each.name for each in rule.variations),
        ),
        SpecRule(
            "sticky, namespace and experiment are of rules with variations",
            "",
            lambda rule: bool(rule.variations) or not (rule.sticky or rule.namespace or rule.experiment),
        ),
    )


class FeatureFlag(Wire, frozen=True):
    """Rules are tried in their order; where none applies the value is ``default``."""

    type: Annotated[FlagType, Meta(description="Of all its values: `boolean`, `string`, `number`, or `json`.")]
    default: Annotated[Any, Meta(description="The value where no rule applies.")] = None
    enabled: Annotated[bool, Meta(description="Without it no rule applies.")] = True
    ordered_rules: Annotated[tuple[FlagRule, ...], Meta(max_length=MAX_RULES, description="In their order.")] = (
        msgspec.field(default=(), name="rules")
    )
    requires: Annotated[tuple[Prerequisite, ...], Meta(max_length=8, description="What every rule requires.")] = ()
    server_only: Annotated[
        bool, Meta(description="Clients are not sent it: for conditions that they may decide in other ways.")
    ] = False
    description: Annotated[str, Meta(max_length=1024, description="For people.")] = ""


def read_flag(value: Any, where: str = "flag") -> FeatureFlag:
    """A flag from a JSON value. Raises FlagError, which names the field."""
    found = read_as(FeatureFlag, Field(where, value, FlagError))
    if not _unique(each.id for each in found.ordered_rules):
        raise FlagError(f"{where}: rules need ids of their own")
    for place, each in _values(found):
        check_value(found.type, each, f"{where}: {place}")
    return found


def flag_document(flag: FeatureFlag) -> dict[str, Any]:
    """A JSON value for ``read_flag``, without what is as by default."""
    return _without_defaults(flag)


def check_flag_name(name: str, what: str) -> None:
    """Of a flag, a rule, a variation or a group. Raises FlagError."""
    read_as(cast("Any", FlagName), Field(what, name, FlagError))


def check_attribute_name(name: str) -> None:
    """Raises FlagError."""
    read_as(cast("Any", AttributeName), Field("attribute", name, FlagError))


def check_value(type_: FlagType, value: Any, where: str) -> None:
    """Raises FlagError."""
    kinds = {"boolean": (bool,), "string": (str,), "number": (int, float), "json": (dict, list)}[type_]
    if not isinstance(value, kinds) or (type_ == "number" and isinstance(value, bool)):
        raise FlagError(f"{where} is {json.dumps(value)[:60]}; it must be of the flag's type, {type_}")
    if not _is_exact(value):
        raise FlagError(f"{where} has a number that clients cannot hold exactly: integers are below 2^53")
    if len(json.dumps(value)) > MAX_VALUE_BYTES:
        raise FlagError(f"{where} has more than {MAX_VALUE_BYTES:,} bytes")


def weights_of(rule: FlagRule) -> tuple[float, ...]:
    """Shares of the variations, which add up to 1."""
    total = math.fsum(each.weight for each in rule.variations)
    return tuple(each.weight / total for each in rule.variations)


def _values(flag: FeatureFlag) -> list[tuple[str, Any]]:
    found = [("default", flag.default)]
    for rule in flag.ordered_rules:
        found += [(f"rule {rule.id}: {each.name}", each.value) for each in rule.variations]
        found += [] if rule.variations else [(f"rule {rule.id}: value", rule.value)]
    return found


def _is_exact(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_exact, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(map(_is_exact, cast("Sequence[Any]", value)))
    return not isinstance(value, int | float) or (math.isfinite(value) and abs(value) < EXACT)


def _unique(names: Any) -> bool:
    ordered = sorted(names)
    return all(one != other for one, other in pairwise(ordered))


def _without_defaults(value: Any) -> Any:
    if isinstance(value, Wire):
        kept = {
            each.encode_name: _without_defaults(getattr(value, each.name))
            for each in msgspec.structs.fields(value)
            if each.required or getattr(value, each.name) != each.default
        }
        return kept
    if isinstance(value, tuple):
        return [_without_defaults(each) for each in cast("tuple[Any, ...]", value)]
    return value
