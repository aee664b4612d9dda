"""Training, serving and batch work as resources: the controllers of each, and the places where it runs."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .composition import CLUSTER_CONTROLLERS, CONTROLLERS, DEFINED, KINDS, WRITTEN
    from .kubernetes import (
        ClusterClient,
        ClusterLink,
        ClusterPlatform,
        ContextPlatform,
        Installation,
        LeaseElection,
        OperatorSettings,
        build_operator_image,
        cluster_access,
        cluster_client_of,
        connect_cluster,
        facts_of,
        install,
        namespace_of,
        operator_objects,
        pinned,
        push_operator_image,
        render,
        status_of_installation,
        uninstall,
        upgrade,
    )
    from .local.connecting import PlatformError, connect, end_platform, is_up, platform_directory
    from .local.local_platform import AlreadyRuns, LocalPlatform, this_machine
    from .local.proxy.proxy_settings import ProxySettingsError, TlsListener
    from .local.state_backup import back_up, restore
    from .places import PlatformStore, connect_to, default_namespace
    from .reruns import build_again, retry, run_pipeline
    from .resource_files import read_resources
    from .resource_names import check_names, find_kind, find_kinds, parse_key
    from .resource_table import as_described, as_list, as_yaml, event_document, row, titles
    from .rollouts import decide_rollout
    from .run_metrics import draw_metrics, summarize_metrics
    from .verbs import apply_resource, changes_of, find, force_release, holders_of, suspend, wait_for

__all__ = [
    "CLUSTER_CONTROLLERS", "CONTROLLERS", "DEFINED", "KINDS", "WRITTEN", "AlreadyRuns", "ClusterClient",
    "ClusterLink", "ClusterPlatform", "ContextPlatform", "Installation", "LeaseElection", "LocalPlatform",
    "OperatorSettings", "PlatformError", "PlatformStore", "ProxySettingsError", "TlsListener", "apply_resource",
    "as_described", "as_list", "as_yaml", "back_up", "build_again", "build_operator_image", "changes_of",
    "check_names", "cluster_access", "cluster_client_of", "connect", "connect_cluster", "connect_to",
    "decide_rollout", "default_namespace", "draw_metrics", "end_platform", "event_document", "facts_of", "find",
    "find_kind", "find_kinds", "force_release", "holders_of", "install", "is_up", "namespace_of", "operator_objects",
    "parse_key", "pinned", "platform_directory", "push_operator_image", "read_resources", "render", "restore",
    "retry", "row", "run_pipeline", "status_of_installation", "summarize_metrics", "suspend", "this_machine",
    "titles", "uninstall", "upgrade", "wait_for",
]  # fmt: skip

__getattr__ = lazy(__name__)
