"""The plain kinds, which the others run as: works, replica groups and routes."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .autoscaling import Autoscaling, Recommendation
    from .index_ranges import IndexRanges, from_ranges, to_ranges
    from .replica_group import (
        REPLICA_GROUP,
        Liveness,
        Readiness,
        ReplicaArtifact,
        ReplicaGroup,
        ReplicaGroupSpec,
        ReplicaGroupStatus,
        ReplicaProbe,
    )
    from .route import ROUTE, Route, RouteSpec, RouteStatus, WeightedGroup
    from .used_retries import Used, from_used, to_used
    from .work import MAX_INDEXES, WORK, FailedAttempt, Role, Values, Work, WorkSpec, WorkStatus

__all__ = [
    "MAX_INDEXES", "REPLICA_GROUP", "ROUTE", "WORK", "Autoscaling", "FailedAttempt", "IndexRanges", "Liveness",
    "Readiness", "Recommendation", "ReplicaArtifact", "ReplicaGroup", "ReplicaGroupSpec", "ReplicaGroupStatus",
    "ReplicaProbe", "Role", "Route", "RouteSpec", "RouteStatus", "Used", "Values", "WeightedGroup", "Work",
    "WorkSpec", "WorkStatus", "from_ranges", "from_used", "to_ranges", "to_used",
]  # fmt: skip

__getattr__ = lazy(__name__)
