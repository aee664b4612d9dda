"""When something is run by itself, as Kubernetes' CronJob has it."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from cronsim import CronSim, CronSimError
from msgspec import Meta

from lykeion.control import SpecRule, Wire


def _field(value: str, special: str = "") -> str:
    """The pattern of a list of values, ranges and steps, and of what is ``special`` to this field."""
    item = rf"((\*|{value}(-{value})?)(/0*[1-9][0-9]*)?{special})"
    return f"{item}(,{item})*"


_FIELDS = (
    _field("[0-5]?[0-9]"),
    _field("([01]?[0-9]|2[0-3])"),
    _field("(0?[1-9]|[12][0-9]|3[01])", "|[Ll][Ww]?"),
    _field("(0?[1-9]|1[0-2]|[A-Za-z]{3})"),
    _field("([0-7]|[A-Za-z]{3})", "|([0-7]|[A-Za-z]{3})#[1-5]|[0-7][Ll]"),
)


def _has_times(schedule: "Schedule") -> bool:
    """Whether there is a time that matches; the pattern allows the 30th of February, and months called ABC."""
    try:
        return next(CronSim(schedule.cron, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
    except CronSimError:
        return False


ConcurrencyPolicy = Literal["Allow", "Forbid", "Replace"]


class Schedule(Wire, frozen=True):
    """Times at which a run is created, named by its minute."""

    cron: Annotated[
        str,
        Meta(
            min_length=9,
            max_length=128,
            pattern=rf"^{' +'.join(_FIELDS)}\Z",
            description="Minute, hour, day of the month, month and day of the week, such as `0 3 * * *`.",
            extra={"must be": "minute (0-59), hour (0-23), day (1-31), month (1-12), weekday (0-7), as in 0 3 * * *"},
        ),
    ]
    time_zone: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[A-Za-z0-9_+/-]+\Z",
            description="From the IANA database, such as `Europe/Berlin`.",
            extra={"must be": "a time zone such as Europe/Berlin"},
        ),
    ] = "UTC"
    concurrency_policy: Annotated[
        ConcurrencyPolicy,
        Meta(description="While one runs: `Forbid` the next, `Allow` it, or `Replace` the one that runs."),
    ] = "Forbid"
    starting_deadline_seconds: Annotated[
        int,
        Meta(ge=1, le=31_536_000, description="Of several times that were missed, only the last within this is run."),
    ] = 3600
    succeeded_history: Annotated[int, Meta(ge=0, le=100, description="Finished runs that are kept.")] = 3
    failed_history: Annotated[int, Meta(ge=0, le=100, description="Failed runs that are kept.")] = 3

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule("no time matches cron; a range may be backwards, or a name or day be none", "", _has_times),
    )
