"""Values of feature flags for a device, by its name and attributes."""

from collections.abc import Callable, Mapping

from lykeion.delivery.device_service.records import FleetRecord
from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.flags import PRODUCTION, FlagFeed, FlagStore, flag_values
from lykeion.device import MAX_FLAGS, Attribute, is_flag

FlagsOf = Callable[[FleetRecord], Mapping[str, Attribute]]


def no_flags(record: FleetRecord) -> Mapping[str, Attribute]:
    """Where there is no store of flags."""
    return {}


def device_flags(fleet: FleetStore, feed: FlagFeed) -> FlagsOf:
    """Those of the environment for production that a device takes: truth values, numbers and short text."""

    def values(record: FleetRecord) -> Mapping[str, Attribute]:
        environment = feed.read(PRODUCTION).environment
        if not environment.flags:
            return {}
        found = flag_values(FlagStore(fleet, PRODUCTION), environment, {**record.attributes, "id": record.id})
        taken = {name: each.value for name, each in found.items() if is_flag(name, each.value)}
        return dict(sorted(taken.items())[:MAX_FLAGS])

    return values
