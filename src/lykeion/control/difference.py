"""The difference between wanted and present children."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from .resource import AnyResource


@dataclass(frozen=True)
class ChildChanges:
    create: tuple[AnyResource, ...]
    apply: tuple[AnyResource, ...]
    delete: tuple[AnyResource, ...]


def difference(wanted: Sequence[AnyResource], present: Sequence[AnyResource]) -> ChildChanges:
    """The changes that turn ``present`` into ``wanted``; none for children whose spec and labels are the same.

    An object to apply names the version that was compared, so that a concurrent change is not overwritten.
    """
    by_key = {each.key: each for each in present}
    keys = {each.key for each in wanted}
    return ChildChanges(
        create=tuple(each for each in wanted if each.key not in by_key),
        apply=tuple(
            _at_version(each, by_key[each.key])
            for each in wanted
            if each.key in by_key and not _same(each, by_key[each.key])
        ),
        delete=tuple(each for each in present if each.key not in keys),
    )


def _same(wanted: AnyResource, present: AnyResource) -> bool:
    return wanted.spec == present.spec and wanted.metadata.labels == present.metadata.labels


def _at_version(wanted: AnyResource, present: AnyResource) -> AnyResource:
    metadata = structs.replace(
        wanted.metadata, uid=present.metadata.uid, resource_version=present.metadata.resource_version
    )
    return type(wanted)(wanted.kind, metadata, wanted.spec, wanted.status)
