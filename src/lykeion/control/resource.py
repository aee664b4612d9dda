"""Resources: a kind, metadata, a spec that users write and a status that the platform reports.

The layout is that of Kubernetes' custom resources, so that ``lykeion apply`` and ``kubectl apply`` read the same
file: https://github.com/kubernetes/community/blob/main/contributors/devel/sig-architecture/api-conventions.md
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Meta

from lykeion.core import Invalid

GROUP = "lykeion.github.io"
VERSION = "v1alpha1"
FINALIZER = f"{GROUP}/finalizer"
"""Keeps a resource that was deleted until its controller has removed what runs for it elsewhere."""
API_VERSION = f"{GROUP}/{VERSION}"
CLUSTER = "default"
"""The namespace of kinds that have none."""


class ResourceError(Invalid):
    """A resource that is not valid for its kind; the message names the field."""


Name = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z",
        extra={"must be": "lower-case letters, digits and '-', at most 63, with a letter or digit at both ends"},
    ),
]
"""A DNS label (RFC 1123)."""
Labels = Annotated[dict[str, Annotated[str, Meta(max_length=63)]], Meta(max_length=64)]
Annotations = Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)]
Once = Annotated[str, Meta(max_length=63)]
"""A value in a spec that has an effect once: the status keeps the last one that had."""
Time = Annotated[datetime, Meta(tz=True)]


@dataclass(frozen=True)
class SpecRule:
    """A rule between the fields of one object: ``cel`` for Kubernetes, ``holds`` for Python.

    ``cel`` is empty for a rule of a kind that is Kubernetes' own.
    """

    message: str
    cel: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class ChangeRule:
    """What must not change: ``holds`` takes the old and the new spec, ``cel`` names them oldSelf and self."""

    message: str
    cel: str
    holds: Callable[[Any, Any], bool]


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of all parts of a resource; names are in camelCase when encoded."""

    rules: ClassVar[tuple[SpecRule, ...]] = ()
    change_rules: ClassVar[tuple[ChangeRule, ...]] = ()

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)


class Owner(Wire, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = True
    block_owner_deletion: bool = True


class Metadata(Wire, frozen=True):
    """``generation`` counts changes of the spec; ``resource_version`` changes with every write.

    ``finalizers`` and ``deletion_timestamp`` are those that a cluster reports; they are never read from files.
    """

    name: Name
    namespace: Name = "default"
    labels: Labels = {}
    annotations: Annotations = {}
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    owner_references: tuple[Owner, ...] = ()
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: Time | None = None


Spec = TypeVar("Spec", bound=Wire)
Status = TypeVar("Status", bound=Wire)


@dataclass(frozen=True)
class Column:
    """A column of ``get``'s table; ``path`` is a JSONPath from the resource, such as ``.status.succeeded``."""

    title: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True)
class ResourceKind(Generic[Spec, Status]):
    """A kind of resource. ``short_names`` are abbreviations for the command line; ``about`` is one sentence.

    ``inline`` kinds have the fields of their spec beside ``metadata``, and no status, as Kubernetes' Secret has.
    Those that are not ``namespaced`` are kept in CLUSTER.
    """

    name: str
    plural: str
    spec: type[Spec]
    status: type[Status]
    about: str
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    scales: bool = False
    """Whether ``kubectl scale`` and autoscalers may set ``spec.replicas``."""
    goal: str = "Complete"
    """The condition that holds when a resource is as its spec asks."""
    api_version: str = API_VERSION
    inline: bool = False
    namespaced: bool = True

    def new(
        self,
        name: str,
        spec: Spec,
        *,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        owner: "Resource[Any, Any] | None" = None,
    ) -> "Resource[Spec, Status]":
        owners = (owner.reference(),) if owner else ()
        metadata = Metadata(name=name, namespace=namespace, labels=dict(labels or {}), owner_references=owners)
        return Resource(self, metadata, spec, self.status())


@dataclass(frozen=True)
class Resource(Generic[Spec, Status]):
    kind: ResourceKind[Spec, Status]
    metadata: Metadata
    spec: Spec
    status: Status

    @property
    def key(self) -> "Key":
        return Key(self.kind.name, self.metadata.namespace, self.metadata.name)

    @property
    def owner(self) -> Owner | None:
        """The resource that created this one; deleting it deletes this one too."""
        return next((owner for owner in self.metadata.owner_references if owner.controller), None)

    @property
    def is_ending(self) -> bool:
        """Whether it was deleted, and is there only until its controller has released it."""
        return self.metadata.deletion_timestamp is not None

    def reference(self) -> Owner:
        return Owner(
            api_version=self.kind.api_version, kind=self.kind.name, name=self.metadata.name, uid=self.metadata.uid
        )

    def with_status(self, status: Status) -> "Resource[Spec, Status]":
        return replace(self, status=status)

    def document(self) -> dict[str, Any]:
        """As JSON types, with only the fields that are set."""
        metadata = msgspec.to_builtins(self.metadata)
        if not self.metadata.finalizers:
            del metadata["finalizers"]
        head = {"apiVersion": self.kind.api_version, "kind": self.kind.name, "metadata": metadata}
        spec = msgspec.to_builtins(self.spec)
        body = spec if self.kind.inline else {"spec": spec, "status": msgspec.to_builtins(self.status)}
        return without_nulls({**head, **body})


AnyKind: TypeAlias = ResourceKind[Any, Any]
AnyResource: TypeAlias = Resource[Any, Any]


@dataclass(frozen=True, order=True)
class Key:
    """Names one object; ``str()`` gives the form used on the command line: ``batchexecution/embed``."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


def child_name(owner: AnyResource, part: str) -> str:
    """The name of an owner's child. It is deterministic, so that no child is created twice.

    ``part`` identifies the child, such as an attempt or the digest of a template; never a generation, since
    suspending changes it.
    """
    digest = hashlib.sha256(f"{owner.metadata.uid}\0{part}".encode()).hexdigest()
    return f"{owner.metadata.name[:24].rstrip('-')}-{digest[:10]}"


def without_nulls(value: Any) -> Any:
    """Null fields are omitted, as Kubernetes does for fields that must not be null."""
    if isinstance(value, dict):
        values = cast(dict[str, Any], value)
        return {name: without_nulls(inner) for name, inner in values.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(inner) for inner in cast(list[Any], value)]
    return value
