"""What a device asks of its surroundings before it downloads: network, power, use. The platform says how they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class DeviceConditions:
    """None where the platform does not tell; what is not told hinders nothing."""

    unmetered: bool | None = None
    charging: bool | None = None
    idle: bool | None = None
    battery_percent: int | None = None


ConditionsHook: TypeAlias = Callable[[], DeviceConditions]


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """When new versions may be downloaded and tried."""

    unmetered: bool = False
    charging: bool = False
    idle: bool = False
    battery_percent: int = 0


def hindrance(rules: UpdateRules, now: DeviceConditions) -> str:
    """Why nothing may be downloaded now; empty if it may."""
    if rules.unmetered and now.unmetered is False:
        return "the network is metered"
    if rules.charging and now.charging is False:
        return "the device is not charging"
    if rules.idle and now.idle is False:
        return "the device is in use"
    if now.battery_percent is not None and now.battery_percent < rules.battery_percent and not now.charging:
        return f"the battery has {now.battery_percent} %; {rules.battery_percent} % are asked for"
    return ""
