"""The signed repository: The Update Framework's metadata, its keys and root, and who may sign what."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .delivery_settings import DeliverySettings, read_settings
    from .editions import keys_of, next_edition
    from .expiry_watch import Refreshed, RepositoryStatus, RoleStatus, refresh, status
    from .model_keys import rotate_model
    from .root_ceremony import RootProgress, init, renew_root, rotate, sign_root
    from .signing_clock import WrongClock
    from .signing_keys import RoleKey, own_key, read_key
    from .target_sets import files_of, limits_of, models_of, records_of, roles_with, target_file, with_model
    from .tuf_repository import Clock, TufRepository, opened, wall_clock
    from .tuf_state import TufState, metadata_directory, read_state, targets_directory

__all__ = [
    "Clock", "DeliverySettings", "Refreshed", "RepositoryStatus", "RoleKey", "RoleStatus", "RootProgress",
    "TufRepository", "TufState", "WrongClock", "files_of", "init", "keys_of", "limits_of", "metadata_directory",
    "models_of", "next_edition", "opened", "own_key", "read_key", "read_settings", "read_state", "records_of",
    "refresh", "renew_root", "roles_with", "rotate", "rotate_model", "sign_root", "status", "target_file",
    "targets_directory", "wall_clock", "with_model",
]  # fmt: skip

__getattr__ = lazy(__name__)
