"""A context of the kubeconfig as the place where commands work."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .context_platform import ContextPlatform, cluster_client_of, namespace_of
    from .kubeconfig_contexts import KubeconfigError, cluster_access

__all__ = [
    "ContextPlatform", "KubeconfigError", "cluster_access", "cluster_client_of", "namespace_of",
]  # fmt: skip

__getattr__ = lazy(__name__)
