"""What ReplicaGroups and Routes become: Deployments, Services, autoscalers, HTTPRoutes. Pure."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .replica_group_objects import REPLICA_GROUPS, group_labels
    from .replica_pod import PORT
    from .route_objects import ROUTES

__all__ = [
    "PORT", "REPLICA_GROUPS", "ROUTES", "group_labels",
]  # fmt: skip

__getattr__ = lazy(__name__)
