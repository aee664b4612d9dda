"""Talking to an API server: requests and their errors, list and watch."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_client import ClusterClient
    from .list_watch import ListedVersions, WatchAges, Watched, WatchTimes, list_objects, watch_objects
    from .request_rate import RequestRate
    from .server_answers import ClusterError, ClusterRefused, NotServed, UidMismatch

__all__ = [
    "ClusterClient", "ClusterError", "ClusterRefused", "ListedVersions", "NotServed", "RequestRate", "UidMismatch",
    "WatchAges", "WatchTimes", "Watched", "list_objects", "watch_objects",
]  # fmt: skip

__getattr__ = lazy(__name__)
