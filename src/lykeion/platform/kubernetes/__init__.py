"""A cluster as the platform: resources as Kubernetes objects, and the operator that runs the controllers."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .api import ClusterClient
    from .contexts import ContextPlatform, KubeconfigError, cluster_access, cluster_client_of, namespace_of
    from .exporting import facts_of, render
    from .installing import (
        ClusterLink,
        Installation,
        build_operator_image,
        connect_cluster,
        install,
        operator_objects,
        pinned,
        push_operator_image,
        status_of_installation,
        uninstall,
        upgrade,
    )
    from .objects import ClusterFacts
    from .operator import ClusterPlatform, LeaseElection, LeaseLost, OperatorSettings
    from .store import ClusterStore

__all__ = [
    "ClusterClient", "ClusterFacts", "ClusterLink", "ClusterPlatform", "ClusterStore", "ContextPlatform",
    "Installation", "KubeconfigError", "LeaseElection", "LeaseLost", "OperatorSettings", "build_operator_image",
    "cluster_access", "cluster_client_of", "connect_cluster", "facts_of", "install", "namespace_of",
    "operator_objects", "pinned", "push_operator_image", "render", "status_of_installation", "uninstall", "upgrade",
]  # fmt: skip

__getattr__ = lazy(__name__)
