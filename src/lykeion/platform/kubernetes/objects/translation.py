"""Translations: how a plain kind (Work, ReplicaGroup, Route, Volume) is a view of Kubernetes objects.

A translation is pure functions over documents; ``ClusterStore`` does all reading and writing:

- ``create`` of a resource posts its ``objects``, the primary last, so that the resource exists only when all of it
  does. An object that another has made under the same name is never adopted (the error is Exists).
- ``get``, ``listing`` and ``watch`` read the primary and the other objects of the same view, and compute the
  resource from them whenever one of them changes.
- ``apply`` writes ``changes`` in their order, to which it adds the UIDs of objects that are there. The write with the
  primary's ``SPEC_ANNOTATION`` comes last: until it is done, all changes are written again.
- ``delete`` deletes the primary, then the other objects that were made for the resource.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import structs

from lykeion.control import GROUP, AnyKind, AnyResource, Metadata, Resource, ResourceError
from lykeion.platform.resources.settings import ClusterProfileSpec

from .object_types import PODS, KubeObject, ObjectType, owners_of
from .view_parts import INCOMPLETE

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "lykeion"
"""The value of ``MANAGED_BY``, and the field manager of all our writes."""
KIND_LABEL = f"{GROUP}/kind"
NAME_LABEL = f"{GROUP}/name"
OWNER_LABEL = f"{GROUP}/owner"
OWNER_UID_LABEL = f"{GROUP}/owner-uid"
SPEC_ANNOTATION = f"{GROUP}/spec"
METADATA_ANNOTATION = f"{GROUP}/metadata"
"""The resource's own labels and annotations, as JSON: those of the object are also other writers'."""
REGISTRY = "lykeion-registry"
"""The name of the Secret and the service account for registries, in each namespace."""
CREDENTIALS = "lykeion-clusters"
"""The Secret of a namespace with its kubeconfigs for other clusters, and the role that lets the operator read it."""
LIMIT_SPEC_BYTES = 8 << 20
LIMIT_PLAIN_BYTES = 32 << 10
"""A longer spec is compressed: all annotations of an object together may have 256 KiB."""
_COMPRESSED = "zlib:"
_READ = ("name", "namespace", "uid", "generation", "creationTimestamp")


@dataclass(frozen=True)
class ClusterFacts:
    """What translations need to know of a cluster; ``served`` are the API versions it has beside Kubernetes' own.

    ``image`` is the operator's own image, pinned by digest: that of programs without an image, such as fetching and
    publishing. ``registry_secret`` is the pull secret in the namespace of a program that only these are given, if it
    is there; ``registry_account`` their service account.
    """

    profile: ClusterProfileSpec = field(default_factory=ClusterProfileSpec)
    image: str = ""
    version: tuple[int, int] = (1, 33)
    served: frozenset[str] = frozenset()
    registry_secret: str = REGISTRY
    registry_account: str = REGISTRY
    registries: str = ""
    """The operator's ``$LYKEION_REGISTRIES``: which registries are spoken to over plain HTTP."""

    image_volumes: bool = False
    """Whether the API server keeps volumes with the files of images, and does not drop them in silence."""

    def has(self, type_: ObjectType) -> bool:
        return type_.api_version in self.served


def _view_of(document: KubeObject) -> str:
    return document["metadata"].get("labels", {}).get(NAME_LABEL, "")


@dataclass(frozen=True)
class ObjectSource:
    """Objects of one type from which a plain kind is computed: those with the kind's labels, or with ``fields``.

    ``name_of`` gives the name of the resource to which an object belongs, which is in the same namespace; an empty
    name for none. By default it is in ``NAME_LABEL``, which ``our_labels`` sets. ``fields`` is a field selector, for
    objects without our labels, such as events: ``reason=FailedCreate``. An event about a pod belongs to the resource
    of that pod. A source that is ``optional`` is left out where the API server does not have the type.
    """

    type: ObjectType
    fields: str = ""
    name_of: Callable[[KubeObject], str] = _view_of
    optional: bool = False

    def selects(self, document: KubeObject) -> bool:
        """Whether it is one of these, of objects of their type."""
        name, _, value = self.fields.partition("=")
        return not name or document.get(name) == value


@dataclass(frozen=True)
class ObjectChange:
    """One write. ``document`` has apiVersion, kind and metadata.name; the namespace is the resource's.

    ``create`` posts it; ``apply`` is server-side apply of these fields by ``MANAGER``; ``merge`` a JSON merge patch;
    ``delete`` needs no more than the name. A ``metadata.uid`` or ``metadata.resourceVersion`` is a precondition.
    """

    verb: Literal["create", "apply", "merge", "delete"]
    document: KubeObject
    subresource: Literal["", "status"] = ""


def _nothing(resource: AnyResource, facts: ClusterFacts, others: Sequence[KubeObject]) -> KubeObject | None:
    return None


@dataclass(frozen=True)
class Translation:
    """How ``kind`` is a view. ``sources`` are what it is computed from, the primary's type first.

    ``objects`` are what to create, the primary first; ``resource_of`` takes the primary and the other objects of the
    sources, in no order (it raises ResourceError for a primary that is not as we write it); ``changes`` takes what
    is there, the primary first, and the resource that is wanted. ``succeeding`` is for changes that delete the
    primary and create another: from the other objects, the primary to create where that was not finished.
    """

    kind: AnyKind
    sources: tuple[ObjectSource, ...]
    objects: Callable[[AnyResource, ClusterFacts], tuple[KubeObject, ...]]
    resource_of: Callable[[KubeObject, Sequence[KubeObject]], AnyResource]
    changes: Callable[[Sequence[KubeObject], AnyResource, ClusterFacts], tuple[ObjectChange, ...]]
    succeeding: Callable[[AnyResource, ClusterFacts, Sequence[KubeObject]], KubeObject | None] = _nothing
    is_kept: bool = False
    """Whether ``changes`` are written for what others change or delete, too. They must not ask for more each time."""
    waits_for_pods: bool = False
    """Whether a deleted resource is there until its pods have ended (Kubernetes' foreground deletion)."""


def our_labels(resource: AnyResource) -> dict[str, str]:
    """Of every object and pod template of a view; by these the store finds them."""
    owner = resource.owner
    owned = {OWNER_LABEL: owner.name, OWNER_UID_LABEL: owner.uid} if owner else {}
    return {MANAGED_BY: MANAGER, KIND_LABEL: resource.kind.name, NAME_LABEL: resource.metadata.name, **owned}


def selector(kind: AnyKind) -> str:
    """The label selector of all objects of a kind's views."""
    return f"{MANAGED_BY}={MANAGER},{KIND_LABEL}={kind.name}"


def object_of(
    type_: ObjectType, resource: AnyResource, name: str, annotations: Mapping[str, str] | None = None, **body: Any
) -> KubeObject:
    """An object of a view, with our labels and the resource's owner: ``body`` is its spec, data and so on."""
    metadata = {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": our_labels(resource),
        "ownerReferences": [msgspec.to_builtins(each) for each in resource.metadata.owner_references],
    }
    return {
        "apiVersion": type_.api_version,
        "kind": type_.kind,
        "metadata": {**metadata, "annotations": dict(annotations)} if annotations else metadata,
        **body,
    }


def written_annotations(resource: AnyResource) -> dict[str, str]:
    """What a primary carries, so that ``read_view`` gives the same spec, labels and annotations.

    ``INCOMPLETE`` is of a reading: written, it would stay when nothing is missing any more.
    """
    labels = {name: value for name, value in resource.metadata.labels.items() if name != INCOMPLETE}
    own = {"labels": labels, "annotations": resource.metadata.annotations}
    kept = {name: value for name, value in own.items() if value}
    return {SPEC_ANNOTATION: _packed(resource.spec), **({METADATA_ANNOTATION: json.dumps(kept)} if kept else {})}


def read_view(kind: AnyKind, primary: KubeObject, others: Iterable[KubeObject], status: Any) -> AnyResource:
    """The resource whose spec a primary carries. Its version is the largest of the objects'. Raises ResourceError."""
    return Resource(kind, _metadata_of(primary, others), read_spec(kind, primary), status)


def read_spec(kind: AnyKind, primary: KubeObject) -> Any:
    """Raises ResourceError."""
    text = str(primary["metadata"].get("annotations", {}).get(SPEC_ANNOTATION, ""))
    try:
        return msgspec.json.decode(_unpacked(text), type=kind.spec)
    except (ValueError, zlib.error) as wrong:
        where = f"{primary['kind'].lower()}/{primary['metadata']['name']}"
        raise ResourceError(
            f"{where}: its annotation {SPEC_ANNOTATION} is not a {kind.name}'s spec: {wrong}"
        ) from None


def pods_among(others: Iterable[KubeObject]) -> list[KubeObject]:
    return [each for each in others if each["kind"] == PODS.kind]


@dataclass(frozen=True)
class _Kept:
    labels: dict[str, str] = field(default_factory=dict[str, str])
    annotations: dict[str, str] = field(default_factory=dict[str, str])


def _metadata_of(primary: KubeObject, others: Iterable[KubeObject]) -> Metadata:
    metadata = primary["metadata"]
    kept = msgspec.json.decode(metadata.get("annotations", {}).get(METADATA_ANNOTATION, "{}"), type=_Kept)
    own = {name: metadata[name] for name in _READ if name in metadata}
    read = msgspec.convert({**own, "ownerReferences": owners_of(metadata)}, Metadata)
    versions = [int(each["metadata"]["resourceVersion"]) for each in (primary, *others)]
    return structs.replace(
        read, labels=kept.labels, annotations=kept.annotations, resource_version=str(max(versions))
    )


def _packed(spec: Any) -> str:
    text = msgspec.json.encode(spec)
    if len(text) <= LIMIT_PLAIN_BYTES:
        return text.decode()
    return _COMPRESSED + base64.b64encode(zlib.compress(text)).decode()


def _unpacked(text: str) -> bytes:
    if not text.startswith(_COMPRESSED):
        return text.encode()
    decompressor = zlib.decompressobj()
    return decompressor.decompress(base64.b64decode(text[len(_COMPRESSED) :]), LIMIT_SPEC_BYTES)
