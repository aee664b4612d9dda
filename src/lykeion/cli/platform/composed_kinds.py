"""The kinds of resources that commands know: those of the platform, and those of the fleet of devices.

The platform keeps both. Its controllers carry its own; `lykeion delivery serve` carries those of the fleet.
"""

from lykeion import platform
from lykeion.control import AnyKind
from lykeion.delivery.device_service import FLEET_KINDS

KINDS: dict[str, AnyKind] = {**platform.KINDS, **FLEET_KINDS}
WRITTEN: dict[str, AnyKind] = {**platform.WRITTEN, **FLEET_KINDS}
"""Those that users write."""
