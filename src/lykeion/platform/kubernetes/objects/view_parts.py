"""Parts of a view that are missing: its controller is to make them.

A person has deleted them, or the cluster could not run what is asked, and perhaps can now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import structs

from lykeion.control import GROUP, AnyResource

from .object_types import KubeObject

INCOMPLETE = f"{GROUP}/incomplete"
"""A label of the resource as it is read, which no controller wants: so it applies the resource again."""


def with_missing(
    resource: AnyResource, there: Sequence[KubeObject], needed: Iterable[tuple[str, str]]
) -> AnyResource:
    """The resource, labelled if an object of a kind and name is not there."""
    found = {(each["kind"], each["metadata"]["name"]) for each in there}
    missing = [kind for kind, name in needed if (kind, name) not in found]
    return incomplete(resource, missing[0]) if missing else resource


def incomplete(resource: AnyResource, missing: str) -> AnyResource:
    labels = {**resource.metadata.labels, INCOMPLETE: missing}
    return replace(resource, metadata=structs.replace(resource.metadata, labels=labels))
