"""A small kind to test with: a lamp that should have a number of bulbs, each a child."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from lykeion.control import (
    ChangeRule,
    Column,
    Condition,
    Conditions,
    Decision,
    Event,
    Observed,
    Resource,
    ResourceController,
    ResourceKind,
    SpecRule,
    Wire,
    child_name,
    merged,
)


class BulbSpec(Wire, frozen=True):
    watts: Annotated[int, Meta(ge=1, le=100)] = 5


class BulbStatus(Wire, frozen=True):
    lit: bool = False


class LampSpec(Wire, frozen=True):
    """What a lamp should be."""

    bulbs: Annotated[int, Meta(ge=0, le=9, description="How many bulbs.")]
    colours: Annotated[tuple[Annotated[str, Meta(max_length=10)], ...], Meta(min_length=1, max_length=3)] = ("white",)
    notes: Annotated[dict[str, Annotated[str, Meta(max_length=10)]], Meta(max_length=2)] = {}  # noqa: RUF012
    bulb: BulbSpec = BulbSpec()
    timer: Annotated[int, Meta(ge=1, le=60)] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "a timer needs a bulb", "!has(self.timer) || self.bulbs > 0", lambda spec: not spec.timer or spec.bulbs
        ),
    )
    change_rules: ClassVar[tuple[ChangeRule, ...]] = (
        ChangeRule(
            "colours may not change", "self.colours == oldSelf.colours", lambda old, new: old.colours == new.colours
        ),
    )


class LampStatus(Wire, frozen=True):
    lit: Annotated[int, Meta(ge=0)] = 0
    conditions: Conditions = ()


BULB = ResourceKind("Bulb", "bulbs", BulbSpec, BulbStatus, "A bulb.")
LAMP = ResourceKind(
    "Lamp", "lamps", LampSpec, LampStatus, "A lamp with bulbs.", ("la",), (Column("Lit", ".status.lit", "integer"),)
)
KINDS = {"Lamp": LAMP, "Bulb": BULB}


def lamp(name: str = "desk", bulbs: int = 2, **spec: Any) -> Resource[LampSpec, LampStatus]:
    return LAMP.new(name, LampSpec(bulbs=bulbs, **spec))


def reconcile_lamp(resource: Resource[Any, Any], observed: Observed, now: datetime) -> Decision:
    bulbs = tuple(
        BULB.new(child_name(resource, str(number)), resource.spec.bulb, owner=resource)
        for number in range(resource.spec.bulbs)
    )
    lit = sum(child.status.lit for child in observed.children)
    ready = Condition(type="Ready", status="True" if lit == len(bulbs) else "False", reason="Counted")
    status = LampStatus(lit=lit, conditions=merged(resource.status.conditions, now, ready))
    events = (Event("Normal", "Lit", f"{lit} of {len(bulbs)}"),) if lit != resource.status.lit else ()
    return Decision(status, bulbs, events)


LAMPS = ResourceController(LAMP, (BULB,), reconcile_lamp)
