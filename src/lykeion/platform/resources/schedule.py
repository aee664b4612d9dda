"""When something is run by itself, as Kubernetes' CronJob has it."""

from typing import Annotated, Literal

from msgspec import Meta

from lykeion.control import Wire

ConcurrencyPolicy = Literal["Allow", "Forbid", "Replace"]


class Schedule(Wire, frozen=True):
    """Times at which a run is created, named by its minute."""

    cron: Annotated[
        str,
        Meta(
            min_length=9,
            max_length=128,
            pattern=r"^\S+( +\S+){4}\Z",
            description="Minute, hour, day of the month, month and day of the week, such as `0 3 * * *`.",
            extra={"must be": "five fields, such as 0 3 * * *"},
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
