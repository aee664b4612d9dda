"""Rollout: a version of a model on its way to a fleet of devices, wave by wave, until it is everywhere or stopped."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, structs

from lykeion.control import (
    Column,
    Conditions,
    Name,
    Once,
    Resource,
    ResourceKind,
    SpecRule,
    Time,
    Wire,
    read_resource,
)
from lykeion.core.fields import Fields
from lykeion.core.grammar import parse

MAX_WAVES = 32
MAX_RULES = 16
MAX_RUNNING = 16
DeviceId = Annotated[str, Meta(min_length=1, max_length=128)]


class Wave(Wire, frozen=True):
    """The devices that join at one step; those of earlier waves stay in."""

    percent: (
        Annotated[
            float,
            Meta(gt=0, le=100, description="So much of the fleet, with that of earlier waves; chosen by bucket."),
        ]
        | None
    ) = None
    rings: Annotated[
        tuple[Name, ...], Meta(max_length=16, description="Devices whose attribute `ring` is one of these.")
    ] = ()
    devices: Annotated[tuple[DeviceId, ...], Meta(max_length=1000, description="These devices.")] = ()
    soak_seconds: Annotated[
        int, Meta(ge=0, le=31_536_000, description="How long it is watched before the next wave begins.")
    ] = 86_400
    approvals: Annotated[
        int, Meta(ge=0, le=8, description="So many people have to approve the wave before it begins.")
    ] = 0

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of percent, rings and devices",
            "[has(self.percent), has(self.rings) && size(self.rings) > 0,"
            " has(self.devices) && size(self.devices) > 0].filter(given, given).size() == 1",
            lambda wave: [wave.percent is not None, bool(wave.rings), bool(wave.devices)].count(True) == 1,
        ),
    )


Metric = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^[a-z][a-z0-9_]*\Z",
        extra={"must be": "the name of a metric, such as crash, load_failure, silence or ms"},
    ),
]


class HaltRule(Wire, frozen=True):
    """When a rollout is stopped. A comparison with devices that have not moved, or a limit that needs none."""

    metric: Annotated[
        Metric,
        Meta(description="`crash`, `load_failure`, `silence`, `ms` (of one inference), or one that the app sends."),
    ]
    ratio: (
        Annotated[
            float,
            Meta(
                ge=1.1,
                le=100,
                description="Devices that moved have it so many times as often (odds) as those that have not moved.",
            ),
        ]
        | None
    ) = None
    above: Annotated[float, Meta(description="The quantile of the values is above this.")] | None = None
    quantile: Annotated[float, Meta(ge=0.5, le=0.99, description="With `above`: which quantile.")] = 0.5
    share: (
        Annotated[
            float, Meta(ge=0.0001, le=0.5, description="More than this share of the devices that moved have it.")
        ]
        | None
    ) = None
    minimum_events: Annotated[
        int, Meta(ge=1, le=1000, description="Fewer among the devices that moved stop nothing.")
    ] = 3

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of ratio, above and share",
            "[has(self.ratio), has(self.above), has(self.share)].filter(given, given).size() == 1",
            lambda rule: [rule.ratio, rule.above, rule.share].count(None) == 2,
        ),
    )


class LocalTimeWindow(Wire, frozen=True):
    """Hours of a device's own day in which it may move."""

    from_hour: Annotated[int, Meta(ge=0, le=23, description="The first.")]
    until_hour: Annotated[
        int, Meta(ge=0, le=23, description="The first no longer; before `fromHour`, on the next day.")
    ]


class Approval(Wire, frozen=True):
    wave: Annotated[int, Meta(ge=1, le=MAX_WAVES, description="Which wave, counted from 1.")]
    by: Annotated[str, Meta(min_length=1, max_length=128, description="Who.")]


class RolloutSpec(Wire, frozen=True):
    """What goes to which devices, how fast, and what stops it."""

    model: Annotated[Name, Meta(description="The model.")]
    version: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=r"^[!-~]+\Z",
            description="A version, an alias or a digest; an alias is resolved once, at the start.",
            extra={"must be": "a version such as v7, or an alias such as champion"},
        ),
    ]
    waves: Annotated[tuple[Wave, ...], Meta(min_length=1, max_length=MAX_WAVES, description="In their order.")]
    halt_when: Annotated[tuple[HaltRule, ...], Meta(max_length=MAX_RULES, description="Any of them halts it.")] = ()
    classes: Annotated[
        tuple[Name, ...], Meta(max_length=64, description="Only devices of these classes; by default of all.")
    ] = ()
    where: Annotated[
        str,
        Meta(max_length=4096, description="Only devices with such attributes: `country = 'DE' and ram_mb >= 2048`."),
    ] = ""
    minimum_version: (
        Annotated[int, Meta(ge=1, description="Only devices that run this version or a later one.")] | None
    ) = None
    maximum_version: (
        Annotated[int, Meta(ge=1, description="Only devices that run this version or an earlier one.")] | None
    ) = None
    alpha: Annotated[
        float,
        Meta(ge=0.0001, le=0.2, description="How often a harmless version may be stopped by the rules together."),
    ] = 0.05
    interval_seconds: Annotated[int, Meta(ge=1, le=604_800, description="Between two looks at the reports.")] = 3600
    moved_share: Annotated[
        float, Meta(ge=0, le=1, description="The next wave waits until so much of this one runs the version.")
    ] = 0.5
    deadline_seconds: Annotated[
        int, Meta(ge=1, le=31_536_000, description="A wave that waits longer for this pauses the rollout.")
    ] = 1_209_600
    silence_seconds: Annotated[
        int, Meta(ge=1, le=31_536_000, description="A device that reports nothing for so long counts as `silence`.")
    ] = 259_200
    window: Annotated[LocalTimeWindow, Meta(description="When devices move, by their own clock.")] | None = None
    on_halt: Annotated[
        Literal["Return", "Stay"], Meta(description="What devices that moved do when it is stopped.")
    ] = "Return"
    watch_only: Annotated[bool, Meta(description="Rules that would halt it are only reported.")] = False
    pause: Annotated[bool, Meta(description="No wave begins while it is true; devices that moved stay.")] = False
    halt: Annotated[Once, Meta(description="A new value halts it.")] = ""
    rollback: Annotated[Once, Meta(description="A new value halts it, and devices that moved return.")] = ""
    approvals: Annotated[tuple[Approval, ...], Meta(max_length=256, description="Given so far.")] = ()

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "percentages of waves have to grow",
            "self.waves.filter(each, has(each.percent)).map(each, each.percent)"
            ".all(each, self.waves.filter(other, has(other.percent) && other.percent == each).size() == 1)",
            lambda spec: _grow([each.percent for each in spec.waves if each.percent is not None]),
        ),
    )


def _grow(percentages: list[float]) -> bool:
    return percentages == sorted(set(percentages))


RolloutState = Literal["Pending", "Running", "Paused", "Complete", "Halted"]
"""``Halted`` and ``Complete`` are final; whether devices return is in ``returns``."""


class RuleEvidence(Wire, frozen=True):
    """What is known by one rule: the e-process of ``core.odds_ratio_test``, and counts of devices."""

    logs: Annotated[tuple[float, ...], Meta(max_length=8)] = ()
    intervals: int = 0
    moved: int = 0
    """Devices that moved; in a comparison, those at risk in each interval, added up."""
    moved_events: int = 0
    others: int = 0
    """Devices that have not moved, in the same way."""
    other_events: int = 0


class DevicesOfVersion(Wire, frozen=True):
    """How many devices of the waves that have begun run a version."""

    number: int
    """Of the version; 0 for none."""
    devices: int


class RolloutStep(Wire, frozen=True):
    """An entry of the log."""

    at: Time
    reason: Annotated[str, Meta(max_length=63)]
    message: Annotated[str, Meta(max_length=512)] = ""


class FleetRolloutStatus(Wire, frozen=True):
    state: RolloutState = "Pending"
    version: Annotated[str, Meta(max_length=255)] = ""
    """What the alias was at the start, as ``v7``."""
    number: int = 0
    """The same as a number; 0 until it is known."""
    digest: Annotated[str, Meta(max_length=80)] = ""
    """Of its manifest in the registry."""
    wave: Annotated[int, Meta(ge=0, le=MAX_WAVES)] = 0
    """How many waves have begun."""
    since: Time | None = None
    """When the wave began."""
    began: Annotated[tuple[Time, ...], Meta(max_length=MAX_WAVES)] = ()
    """When each wave began."""
    looked: Time | None = None
    assigned: int = 0
    """Devices of the waves that have begun."""
    reported: int = 0
    """Those of them that have reported since."""
    reachable: int = 0
    """Those of them that have reported since and may move, or have moved."""
    moved: int = 0
    """Those that run the version."""
    running: Annotated[tuple[DevicesOfVersion, ...], Meta(max_length=MAX_RUNNING)] = ()
    """Those of each version, most devices first, when it was looked last."""
    fleet: int = 0
    """All devices that the rollout is for."""
    evidence: Annotated[tuple[RuleEvidence, ...], Meta(max_length=MAX_RULES)] = ()
    """One for each rule."""
    returns: bool = False
    """Devices that moved return to the version before."""
    reason: Annotated[str, Meta(max_length=63)] = ""
    message: Annotated[str, Meta(max_length=1024)] = ""
    """Why it is in its state."""
    halt: Once = ""
    rollback: Once = ""
    """The values of the spec that have been acted upon."""
    steps: Annotated[tuple[RolloutStep, ...], Meta(max_length=40)] = ()
    """The last ones."""
    observed_generation: int = 0
    conditions: Conditions = ()


ROLLOUT = ResourceKind(
    "Rollout",
    "rollouts",
    RolloutSpec,
    FleetRolloutStatus,
    "A version of a model on its way to a fleet of devices.",
    ("rl",),
    (
        Column("Model", ".spec.model"),
        Column("Version", ".status.version"),
        Column("State", ".status.state"),
        Column("Wave", ".status.wave", "integer"),
        Column("Moved", ".status.moved", "integer"),
        Column("Reason", ".status.reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
Rollout = Resource[RolloutSpec, FleetRolloutStatus]


def checked(rollout: Rollout) -> Rollout:
    """The same rollout, held to the bounds and rules of its kind. Raises ResourceError, WhereError."""
    if rollout.spec.where:
        parse(rollout.spec.where)
    return read_resource(Fields("the rollout", rollout.document()), {ROLLOUT.name: ROLLOUT})


def with_spec(rollout: Rollout, **changes: Any) -> Rollout:
    """With other fields of the spec. Raises ResourceError."""
    return checked(replace(rollout, spec=structs.replace(rollout.spec, **changes)))
