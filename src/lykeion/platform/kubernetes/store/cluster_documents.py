"""Custom resources, Secrets and ConfigMaps as documents: what is sent, and what of an answer is read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec
from msgspec import structs

from lykeion.control import FINALIZER, AnyKind, AnyResource, ResourceError, Time, read_resource
from lykeion.core.fields import Fields
from lykeion.platform.kubernetes.objects import MANAGER, KubeObject, inside, owners_of

LIMIT_ANNOTATION = 4096
"""Characters. Other tools keep longer ones, such as kubectl a whole manifest; they are left alone."""
_SERVERS = ("uid", "generation", "creationTimestamp", "resourceVersion", "finalizers", "deletionTimestamp")


def written(resource: AnyResource) -> KubeObject:
    """What a person or a controller says of a resource; what the server says of it is left out.

    So are empty labels, annotations and owners: the server drops them, and each apply of them would be a change.
    """
    document = resource.document()
    document.pop("status", None)
    left_out = _SERVERS if resource.kind.namespaced else (*_SERVERS, "namespace")
    metadata = inside(document, "metadata")
    document["metadata"] = {name: each for name, each in metadata.items() if each and name not in left_out}
    return document


def at_version(document: KubeObject, resource: AnyResource) -> KubeObject:
    """The document, which is only to be written to the object and the version that was read, if one was."""
    asked = {"uid": resource.metadata.uid, "resourceVersion": resource.metadata.resource_version}
    return {**document, "metadata": {**document["metadata"], **{name: each for name, each in asked.items() if each}}}


def replacing(there: KubeObject, resource: AnyResource) -> KubeObject:
    """The merge patch after which the object has the resource's spec and labels, and its annotations beside others.

    It applies only to the version that was read.
    """
    heads = ("apiVersion", "kind", "metadata", "status")
    old = {name: each for name, each in there.items() if name not in heads}
    new = {name: each for name, each in written(resource).items() if name not in heads}
    metadata = {
        "labels": merge_patch(inside(there, "metadata", "labels"), resource.metadata.labels),
        "annotations": resource.metadata.annotations,
        "uid": there["metadata"]["uid"],
        "resourceVersion": there["metadata"]["resourceVersion"],
    }
    return at_version({**merge_patch(old, new), "metadata": metadata}, resource)


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What turns one mapping into the other: https://www.rfc-editor.org/rfc/rfc7396."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(cast(dict[str, Any], before), cast(dict[str, Any], value)):
                patch[name] = inner
        elif name not in old or value != before:
            patch[name] = value
    return patch


def read_document(document: KubeObject, kinds: Mapping[str, AnyKind]) -> AnyResource:
    """Raises ResourceError."""
    metadata = document["metadata"]
    annotations: dict[str, str] = metadata.get("annotations") or {}
    kept = {name: value for name, value in annotations.items() if len(value) <= LIMIT_ANNOTATION}
    own = {**metadata, "annotations": kept, "ownerReferences": owners_of(metadata)}
    where = f"{str(document.get('kind')).lower()}/{metadata.get('name')}"
    resource = read_resource(Fields(where, {**document, "metadata": own}, ResourceError), kinds)
    ending = msgspec.convert(metadata.get("deletionTimestamp"), Time | None)
    held = tuple(map(str, metadata.get("finalizers") or ()))
    return replace(resource, metadata=structs.replace(resource.metadata, finalizers=held, deletion_timestamp=ending))


def is_gone(document: KubeObject) -> bool:
    """Whether it was deleted, and nothing of ours is to be done any more: others may wait for its dependents."""
    metadata = document["metadata"]
    return "deletionTimestamp" in metadata and FINALIZER not in (metadata.get("finalizers") or ())


def with_finalizer(resource: AnyResource, has: bool) -> KubeObject:
    """The merge patch after which the object, at the version that was read, has our finalizer or has it not."""
    others = [each for each in resource.metadata.finalizers if each != FINALIZER]
    metadata = {"finalizers": [*others, FINALIZER] if has else others}
    return at_version({"metadata": metadata}, resource)


def foreign_conditions(document: KubeObject) -> dict[str, Any]:
    """The conditions of which another writer has the fields and we have none, by type."""
    conditions: list[KubeObject] = inside(document, "status").get("conditions") or []
    ours = _owned_types(document["metadata"].get("managedFields") or [])
    return {each["type"]: each for each in conditions if each.get("type") and each["type"] not in ours}


def _owned_types(managed: list[KubeObject]) -> set[str]:
    """https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management."""
    fields = [
        inside(each, "fieldsV1", "f:status", "f:conditions") for each in managed if each.get("manager") == MANAGER
    ]
    prefix, suffix = 'k:{"type":"', '"}'
    keys = [key for each in fields for key in each if key.startswith(prefix)]
    return {key[len(prefix) : -len(suffix)] for key in keys}
