"""What a device is told: versions of models, and values of flags."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .desired_states import desired_number, desired_state, satisfies_where
    from .device_flag_values import FlagsOf, device_flags, no_flags
    from .published_catalogue import PublishedCatalogue
    from .space_use import SpaceUse, spaces_in_use

__all__ = [
    "FlagsOf",
    "PublishedCatalogue",
    "SpaceUse",
    "desired_number",
    "desired_state",
    "device_flags",
    "no_flags",
    "satisfies_where",
    "spaces_in_use",
]

__getattr__ = lazy(__name__)
