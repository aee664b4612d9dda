"""The server of a fleet: enrolment, desired state and reports of devices, and what rollouts need to know of them."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .desired_states import desired_number, desired_state
    from .device_admission import DeviceAdmission, DeviceState, DeviceStateError, NoSuchDevice, NotADevice
    from .fleet_beside import FleetBeside, FleetParts
    from .fleet_place import FLEET_KINDS, connect_rollouts, events_directory, fleet_directory, fleet_file, open_fleet
    from .fleet_records import FleetRecord, all_devices, keep_state, one_device, pin
    from .fleet_server import FleetIsServed, FleetServer
    from .fleet_store import FleetStore, FleetStoreError, FleetTransaction
    from .postgres_store import PostgresStore
    from .published_catalogue import PublishedCatalogue
    from .records.device_events import keep_events, lost_events
    from .records.device_logs import DeviceLogState, ask_log, device_log
    from .records.told_versions import VersionDrift, told_versions, version_drift
    from .served_experiments import forget_unit
    from .slow_devices import SlowVersion, slow_versions

__all__ = [
    "FLEET_KINDS",
    "DeviceAdmission",
    "DeviceLogState",
    "DeviceState",
    "DeviceStateError",
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
    "PostgresStore",
    "PublishedCatalogue",
    "SlowVersion",
    "VersionDrift",
    "all_devices",
    "ask_log",
    "connect_rollouts",
    "desired_number",
    "desired_state",
    "device_log",
    "events_directory",
    "fleet_directory",
    "fleet_file",
    "forget_unit",
    "keep_events",
    "keep_state",
    "lost_events",
    "one_device",
    "open_fleet",
    "pin",
    "slow_versions",
    "told_versions",
    "version_drift",
]
__getattr__ = lazy(__name__)
