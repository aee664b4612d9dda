"""The operator's process: the controllers, one at a time by a Lease, with metrics and health."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_platform import ClusterPlatform, OperatorSettings
    from .lease_election import LeaseElection, LeaseLost

__all__ = [
    "ClusterPlatform", "LeaseElection", "LeaseLost", "OperatorSettings",
]  # fmt: skip

__getattr__ = lazy(__name__)
