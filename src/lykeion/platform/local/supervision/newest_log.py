"""Which log people mean who ask for that of a resource."""

from collections.abc import Iterable

from lykeion.control import AnyResource, child_name
from lykeion.platform.policies.artifacts import PROGRAM


def by_newest_log(resource: AnyResource, part: str, others: Iterable[AnyResource]) -> list[AnyResource]:
    """The resources whose log it may be: itself, its program, and what else it owns, the newest first.

    With ``part``, a step of a run or a part of a resource such as ``publish``, only what runs that.
    """
    program = child_name(resource, PROGRAM)
    owned = [each for each in others if (_is_part(each, resource, part) if part else _is_of(each, resource))]
    owned.sort(
        key=lambda each: (
            each.metadata.name == program,
            str(each.metadata.creation_timestamp),
            each.metadata.name,
        ),
        reverse=True,
    )
    return owned if part else [resource, *owned]


def _is_of(child: AnyResource, resource: AnyResource) -> bool:
    return child.owner is not None and child.owner.uid == resource.metadata.uid


def _is_part(child: AnyResource, resource: AnyResource, part: str) -> bool:
    """Whether it runs the part of a resource, or is the work of the resource that a step has created."""
    if _is_of(child, resource):
        return child.metadata.name in (child_name(resource, part), child_name(resource, f"{part}/{PROGRAM}"))
    return child.owner is not None and child.owner.name == child_name(resource, f"{part}/resource")
