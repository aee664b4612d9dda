"""A cluster as the platform: resources as Kubernetes objects, and the operator that runs the controllers."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_client import ClusterClient
    from .cluster_platform import ClusterPlatform, OperatorSettings
    from .cluster_store import ClusterStore
    from .context_platform import ContextPlatform, cluster_client_of, namespace_of
    from .installation import install, upgrade
    from .installation_status import status_of_installation
    from .kubeconfig_contexts import KubeconfigError, cluster_access
    from .lease_election import LeaseLost
    from .operator_image import build_operator_image, pinned, push_operator_image
    from .operator_manifests import Installation, operator_objects
    from .rendering import facts_of, render
    from .translation import ClusterFacts
    from .uninstallation import uninstall

__all__ = [
    "ClusterClient", "ClusterFacts", "ClusterPlatform", "ClusterStore", "ContextPlatform", "Installation",
    "KubeconfigError", "LeaseLost", "OperatorSettings", "build_operator_image", "cluster_access",
    "cluster_client_of", "facts_of", "install", "namespace_of", "operator_objects", "pinned", "push_operator_image",
    "render", "status_of_installation", "uninstall", "upgrade",
]  # fmt: skip

__getattr__ = lazy(__name__)
