"""Rules that say what follows from a failed attempt."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from lykeion.control import SpecRule, Wire

Action = Literal["Retry", "Fail", "Ignore"]


class FailureRule(Wire, frozen=True):
    """A rule for attempts that ended with one of these exit codes, or for one of these reasons."""

    action: Annotated[
        Action,
        Meta(description="`Retry` it, `Fail` at once, or `Ignore` it: retry it without counting it as a failure."),
    ]
    exit_codes: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=255)], ...],
        Meta(max_length=64, description="Of the program; 128 + N if signal N ended it."),
    ] = ()
    reasons: Annotated[
        tuple[Annotated[str, Meta(max_length=63)], ...],
        Meta(
            max_length=16,
            description="Such as `TimeLimit`, `OOMKilled`, `CannotStart`, `Evicted` or `Lost`.",
        ),
    ] = ()

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give exitCodes or reasons",
            "size(self.exitCodes) + size(self.reasons) > 0",
            lambda rule: bool(rule.exit_codes or rule.reasons),
        ),
    )


FailureRules = Annotated[
    tuple[FailureRule, ...], Meta(max_length=20, description="The first that matches decides; else it is retried.")
]
