"""Installing, upgrading and removing the operator: its image, objects and rights, and profiles of clouds."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .cloud_profiles import cloud_profile
    from .cluster_link import ClusterLink, connect_cluster
    from .installation import install, upgrade
    from .installation_status import status_of_installation
    from .operator_image import build_operator_image, pinned, push_operator_image
    from .operator_manifests import IMAGE, Installation, operator_objects
    from .uninstallation import uninstall

__all__ = [
    "IMAGE", "ClusterLink", "Installation", "build_operator_image", "cloud_profile", "connect_cluster", "install",
    "operator_objects", "pinned", "push_operator_image", "status_of_installation", "uninstall", "upgrade",
]  # fmt: skip

__getattr__ = lazy(__name__)
