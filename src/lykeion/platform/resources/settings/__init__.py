"""What other resources are given: configuration, secrets, profiles of clusters, webhooks."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cluster_profile import (
        CLUSTER_PROFILE,
        AcceleratorProfile,
        AllowedCluster,
        Capacity,
        ClusterProfile,
        ClusterProfileSpec,
        ClusterProfileStatus,
        StorageProfile,
    )
    from .configuration import CONFIG_MAP, SECRET, ConfigMap, ConfigMapSpec, Secret, SecretSpec
    from .webhook import MAX_REMEMBERED, WEBHOOK, Webhook, WebhookSpec, WebhookStatus

__all__ = [
    "CLUSTER_PROFILE", "CONFIG_MAP", "MAX_REMEMBERED", "SECRET", "WEBHOOK", "AcceleratorProfile", "AllowedCluster",
    "Capacity", "ClusterProfile", "ClusterProfileSpec", "ClusterProfileStatus", "ConfigMap", "ConfigMapSpec",
    "Secret", "SecretSpec", "StorageProfile", "Webhook", "WebhookSpec", "WebhookStatus",
]  # fmt: skip

__getattr__ = lazy(__name__)
