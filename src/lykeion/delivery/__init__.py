"""Models to devices: a static repository of signed metadata (The Update Framework), published from the registry.

``publish`` signs what may run; which device runs what is another decision, among that.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .delivery_settings import DeliverySettings, read_settings
    from .device_classes import ClassFile, DeviceClass, Verdict, class_of, read_class_file
    from .errors import DeliveryError, KeyUnavailable, NoSuchTarget, RepositoryBusy, RepositoryDamaged
    from .expiry_watch import Refreshed, RepositoryStatus, RoleStatus, refresh, status
    from .explaining import Explanation, explain
    from .limiting import revoke, set_minimum
    from .model_keys import rotate_model
    from .publishing import Published, PublishOptions, publish
    from .root_ceremony import RootProgress, init, renew_root, rotate, sign_root
    from .signing_keys import RoleKey, read_key
    from .space_price import IndexSpace

__all__ = [
    "ClassFile", "DeliveryError", "DeliverySettings", "DeviceClass", "Explanation", "IndexSpace", "KeyUnavailable",
    "NoSuchTarget", "PublishOptions", "Published", "Refreshed", "RepositoryBusy", "RepositoryDamaged",
    "RepositoryStatus", "RoleKey", "RoleStatus", "RootProgress", "Verdict", "class_of", "explain", "init", "publish",
    "read_class_file", "read_key", "read_settings", "refresh", "renew_root", "revoke", "rotate", "rotate_model",
    "set_minimum", "sign_root", "status",
]  # fmt: skip
__getattr__ = lazy(__name__)
