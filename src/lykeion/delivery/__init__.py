"""Models to devices: a static repository of signed metadata (The Update Framework), published from the registry.

``publish`` signs what may run; which device runs what is another decision, among that.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .errors import DeliveryError, KeyUnavailable, NoSuchTarget, RepositoryBusy, RepositoryDamaged
    from .targets import (
        ClassFile,
        DeviceClass,
        Explanation,
        IndexSpace,
        Published,
        PublishOptions,
        Verdict,
        class_of,
        explain,
        publish,
        read_class_file,
        revoke,
        set_minimum,
    )
    from .tuf import (
        DeliverySettings,
        Refreshed,
        RepositoryStatus,
        RoleKey,
        RoleStatus,
        RootProgress,
        init,
        read_key,
        read_settings,
        refresh,
        renew_root,
        rotate,
        rotate_model,
        sign_root,
        status,
    )

__all__ = [
    "ClassFile", "DeliveryError", "DeliverySettings", "DeviceClass", "Explanation", "IndexSpace", "KeyUnavailable",
    "NoSuchTarget", "PublishOptions", "Published", "Refreshed", "RepositoryBusy", "RepositoryDamaged",
    "RepositoryStatus", "RoleKey", "RoleStatus", "RootProgress", "Verdict", "class_of", "explain", "init", "publish",
    "read_class_file", "read_key", "read_settings", "refresh", "renew_root", "revoke", "rotate", "rotate_model",
    "set_minimum", "sign_root", "status",
]  # fmt: skip
__getattr__ = lazy(__name__)
