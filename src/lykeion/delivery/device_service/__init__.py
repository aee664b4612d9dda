"""The server of a fleet: enrolment, desired state and reports of devices, and what rollouts need to know of them."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .desired import PublishedCatalogue, SpaceUse, desired_number, desired_state, spaces_in_use
    from .fleet_beside import FleetBeside, FleetParts
    from .fleet_place import FLEET_KINDS, connect_rollouts, events_directory, fleet_directory, fleet_file, open_fleet
    from .fleet_resources import flag_experiment, forget_unit, unfit_for_flag
    from .fleet_server import FleetIsServed, FleetServer
    from .records import (
        DeviceAdmission,
        DeviceLogState,
        DeviceState,
        DeviceStateError,
        EventRow,
        FleetRecord,
        NoSuchDevice,
        NotADevice,
        NotTogether,
        SlowVersion,
        VersionDrift,
        all_devices,
        ask_log,
        device_log,
        event_rows,
        keep_events,
        keep_state,
        keep_together,
        lost_events,
        needed_versions,
        one_device,
        pin,
        slow_versions,
        told_versions,
        version_drift,
    )
    from .rollout_turn import FileTurn, RolloutTurn, SharedRollouts
    from .store import BadValue, FleetStore, FleetStoreError, FleetTransaction, PostgresStore

__all__ = [
    "FLEET_KINDS",
    "BadValue",
    "DeviceAdmission",
    "DeviceLogState",
    "DeviceState",
    "DeviceStateError",
    "EventRow",
    "FileTurn",
    "FleetBeside",
    "FleetIsServed",
    "FleetParts",
    "FleetRecord",
    "FleetServer",
    "FleetStore",
    "FleetStoreError",
    "FleetTransaction",
    "NoSuchDevice",
    "NotADevice",
    "NotTogether",
    "PostgresStore",
    "PublishedCatalogue",
    "RolloutTurn",
    "SharedRollouts",
    "SlowVersion",
    "SpaceUse",
    "VersionDrift",
    "all_devices",
    "ask_log",
    "connect_rollouts",
    "desired_number",
    "desired_state",
    "device_log",
    "event_rows",
    "events_directory",
    "flag_experiment",
    "fleet_directory",
    "fleet_file",
    "forget_unit",
    "keep_events",
    "keep_state",
    "keep_together",
    "lost_events",
    "needed_versions",
    "one_device",
    "open_fleet",
    "pin",
    "slow_versions",
    "spaces_in_use",
    "told_versions",
    "unfit_for_flag",
    "version_drift",
]
__getattr__ = lazy(__name__)
