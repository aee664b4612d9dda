"""What a device tells of itself, by which its server finds its class: measured here, and what its owner says."""

import platform
import time
from collections.abc import Mapping
from importlib.metadata import version

from lykeion.core import core_count
from lykeion.device.fleet.message_fields import Attribute


def device_attributes(own: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """``own`` in front of ``cores``, ``memory_mb`` (0 if not known), ``machine``, ``system`` and ``local_hour``, the
    device's hour of the day, for rollouts that keep to the night."""
    measured: dict[str, Attribute] = {
        "cores": core_count(),
        "memory_mb": _memory_mb(),
        "machine": platform.machine().lower() or "unknown",
        "system": platform.system().lower() or "unknown",
        "local_hour": time.localtime().tm_hour,
    }
    return measured | dict(own)


def software_version() -> str:
    """Of this package."""
    return version("lykeion")


def _memory_mb() -> int:
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError):
        return 0
