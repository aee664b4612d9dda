"""Fields that all kinds that run to completion share."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import ChangeRule

DeadlineSeconds = Annotated[
    int, Meta(ge=1, le=31_536_000, description="From the start to the end; then it has failed.")
]
StartDeadlineSeconds = Annotated[
    int,
    Meta(
        ge=1, le=31_536_000, description="If nothing could be started by then, it has failed, with what was lacking."
    ),
]
TtlSeconds = Annotated[int, Meta(ge=0, le=31_536_000, description="Then it is deleted; by default never.")]
Suspend = Annotated[bool, Meta(description="End what runs and start nothing, until it is false again.")]
Retries = Annotated[int, Meta(ge=0, le=100)]


def fixed(field: str, attribute: str = "") -> ChangeRule:
    """A field of a spec that never changes."""
    name = attribute or field
    return ChangeRule(
        f"{field} may not change; make another",
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        lambda old, new: getattr(old, name) == getattr(new, name),
    )
