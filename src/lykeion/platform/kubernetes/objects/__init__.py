"""Documents of Kubernetes' API: their types, their fields, and how a plain kind is a view of them. Pure."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .object_fields import NOTHING, annotation, part, parts, text, true_condition
    from .object_types import (
        AUTOSCALERS,
        CONFIG_MAPS,
        DEPLOYMENTS,
        DISRUPTION_BUDGETS,
        EVENTS,
        HEALTH_CHECKS,
        HTTP_ROUTES,
        JOB_SETS,
        JOBS,
        LEASES,
        PODS,
        SECRETS,
        SERVICE_ACCOUNTS,
        SERVICES,
        VOLUME_CLAIMS,
        KubeObject,
        ObjectType,
        custom_type,
        inside,
        key_of,
        owners_of,
        type_of,
        version_of,
    )
    from .owned_fields import holds
    from .translation import (
        CREDENTIALS,
        KIND_LABEL,
        MANAGED_BY,
        MANAGER,
        NAME_LABEL,
        OWNER_LABEL,
        OWNER_UID_LABEL,
        REGISTRY,
        ClusterFacts,
        ObjectChange,
        ObjectSource,
        Translation,
        object_of,
        our_labels,
        pods_among,
        read_spec,
        read_view,
        selector,
        written_annotations,
    )
    from .view_parts import INCOMPLETE, incomplete, with_missing

__all__ = [
    "AUTOSCALERS", "CONFIG_MAPS", "CREDENTIALS", "DEPLOYMENTS", "DISRUPTION_BUDGETS", "EVENTS", "HEALTH_CHECKS",
    "HTTP_ROUTES", "INCOMPLETE", "JOBS", "JOB_SETS", "KIND_LABEL", "LEASES", "MANAGED_BY", "MANAGER", "NAME_LABEL",
    "NOTHING", "OWNER_LABEL", "OWNER_UID_LABEL", "PODS", "REGISTRY", "SECRETS", "SERVICES", "SERVICE_ACCOUNTS",
    "VOLUME_CLAIMS", "ClusterFacts", "KubeObject", "ObjectChange", "ObjectSource", "ObjectType", "Translation",
    "annotation", "custom_type", "holds", "incomplete", "inside", "key_of", "object_of", "our_labels", "owners_of",
    "part", "parts", "pods_among", "read_spec", "read_view", "selector", "text", "true_condition", "type_of",
    "version_of", "with_missing", "written_annotations",
]  # fmt: skip

__getattr__ = lazy(__name__)
