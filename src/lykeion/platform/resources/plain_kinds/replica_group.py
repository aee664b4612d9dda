"""ReplicaGroup: replicas of one program that serve requests until they are deleted, like Kubernetes' Deployment."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import Column, Conditions, Resource, ResourceKind, Time, Wire
from lykeion.platform.resources.programs import Program, VolumeMount

from .autoscaling import Autoscaling


class ReplicaProbe(Wire, frozen=True):
    """A check of a replica, as Kubernetes' HTTP and TCP probes: a status below 400 is good."""

    path: (
        Annotated[
            str,
            Meta(
                max_length=256,
                pattern=r"^/[!-~]*\Z",
                description="Requested with GET; by default the port has only to accept connections.",
                extra={"must be": "a path such as /healthz"},
            ),
        ]
        | None
    ) = None
    period_seconds: Annotated[int, Meta(ge=1, le=300, description="Between two checks.")] = 2
    timeout_seconds: Annotated[int, Meta(ge=1, le=60, description="Of one check.")] = 2


class Readiness(ReplicaProbe, frozen=True):
    """When a replica receives requests."""

    failure_threshold: Annotated[
        int, Meta(ge=1, le=100, description="Failed checks in a row after which it is not ready.")
    ] = 3
    startup_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="A replica that is not ready by then is restarted.")
    ] = 300


class Liveness(ReplicaProbe, frozen=True):
    """When a replica that has been ready once is restarted."""

    period_seconds: Annotated[int, Meta(ge=1, le=300, description="Between two checks.")] = 10
    failure_threshold: Annotated[
        int, Meta(ge=1, le=100, description="Failed checks in a row after which it is restarted.")
    ] = 3


class ReplicaArtifact(Wire, frozen=True):
    """A directory of the registry that each replica is given, whose path is in ``variable``."""

    variable: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
    artifact: Annotated[str, Meta(max_length=512)]
    """By its digest; what is followed, by an alias."""
    follow_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    """The path is a link: where the alias moves, it leads to the new version within so many seconds."""


class ReplicaGroupSpec(Wire, frozen=True):
    program: Program
    """Listens on 127.0.0.1 or all addresses, on the port in ``$PORT``."""
    replicas: Annotated[int, Meta(ge=0, le=1000)] = 1
    readiness: Readiness = Readiness()
    liveness: Liveness | None = None
    drain_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30
    """A replica gets no new requests when it is to end; it gets SIGTERM once it has no more, or after this time."""
    grace_period_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30
    """Between SIGTERM and SIGKILL."""
    mounts: Annotated[tuple[VolumeMount, ...], Meta(max_length=16)] = ()
    artifacts: Annotated[tuple[ReplicaArtifact, ...], Meta(max_length=16)] = ()
    """Only where replicas are given them (``ServingPlace.fetches``)."""
    autoscaling: Autoscaling | None = None
    """Only where groups are scaled by the place (``ServingPlace.scales``), which then sets ``replicas``."""


class ReplicaGroupStatus(Wire, frozen=True):
    replicas: int = 0
    """Those that run."""
    ready: int = 0
    restarts: int = 0
    """Of all replicas, since the group was created; shutdowns and scaling do not count."""
    last_exit: Annotated[str, Meta(max_length=512)] = ""
    """How the last replica that ended by itself ended, such as ``exit code 1: cannot read model``."""
    last_exit_time: Time | None = None
    conditions: Conditions = ()


REPLICA_GROUP = ResourceKind(
    "ReplicaGroup",
    "replicagroups",
    ReplicaGroupSpec,
    ReplicaGroupStatus,
    "Replicas of one program that serve requests.",
    columns=(Column("Ready", ".status.ready", "integer"), Column("Restarts", ".status.restarts", "integer")),
)
ReplicaGroup = Resource[ReplicaGroupSpec, ReplicaGroupStatus]
