"""The store of resources in a cluster: custom resources, and views of what runs, kept up to date by watches."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_store import ClusterStore
    from .custom_resources import CustomResources

__all__ = [
    "ClusterStore", "CustomResources",
]  # fmt: skip

__getattr__ = lazy(__name__)
