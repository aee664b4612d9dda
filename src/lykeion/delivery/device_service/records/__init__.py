"""What is known of each device: its admission, state, versions, events and log."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .device_admission import DeviceAdmission, DeviceState, DeviceStateError, NoSuchDevice, NotADevice
    from .device_events import (
        EventRow,
        NotTogether,
        event_rows,
        forget_old_events,
        forget_reports,
        keep_events,
        keep_together,
        lost_events,
        note_events,
    )
    from .device_logs import DeviceLogState, ask_log, asked_log, device_log, forget_old_logs, note_log
    from .first_events import METRIC_EVENTS, RolloutFirsts, forget_rollouts
    from .fleet_records import FleetRecord, all_devices, as_fleet_device, keep_state, note_state, one_device, pin
    from .slow_devices import SlowVersion, slow_versions
    from .told_records import VersionDrift, needed_versions, note_told, told_versions, version_drift

__all__ = [
    "METRIC_EVENTS",
    "DeviceAdmission",
    "DeviceLogState",
    "DeviceState",
    "DeviceStateError",
    "EventRow",
    "FleetRecord",
    "NoSuchDevice",
    "NotADevice",
    "NotTogether",
    "RolloutFirsts",
    "SlowVersion",
    "VersionDrift",
    "all_devices",
    "as_fleet_device",
    "ask_log",
    "asked_log",
    "device_log",
    "event_rows",
    "forget_old_events",
    "forget_old_logs",
    "forget_reports",
    "forget_rollouts",
    "keep_events",
    "keep_state",
    "keep_together",
    "lost_events",
    "needed_versions",
    "note_events",
    "note_log",
    "note_state",
    "note_told",
    "one_device",
    "pin",
    "slow_versions",
    "told_versions",
    "version_drift",
]

__getattr__ = lazy(__name__)
