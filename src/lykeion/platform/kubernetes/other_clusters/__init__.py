"""Other clusters, in which steps of pipelines run: who may use which, what is there, and what was left there."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_reach import ClusterReach
    from .remote_runs import RemoteRuns, runs_through

__all__ = [
    "ClusterReach", "RemoteRuns", "runs_through",
]  # fmt: skip

__getattr__ = lazy(__name__)
