"""The client that runs on a device: what signed metadata say, deltas, and the models kept there.

Small: no server code and no training framework; LiteRT and TUF are imported when they are used.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .box_layout import BoxLayout, boxes_of
    from .camera.live_answers import live_answers
    from .camera.newest_frame import newest_frames
    from .camera.video_frames import VideoError, video_frames
    from .companion import MAX_COMPANION_BYTES, MAX_COMPANION_PHOTOS, Companion, read_companion, with_golden
    from .delta_patch import MAX_BSDIFF_BYTES, MAX_WINDOW_LOG, apply_delta
    from .device_checks import DeviceCheck, check_device
    from .device_client import Device, NoModel
    from .device_conditions import ConditionsHook, DeviceConditions, UpdateRules
    from .device_settings import DeviceSettings, DeviceSettingsError
    from .errors import DeltaError, NewerRecord, RecordError
    from .fleet.device_messages import (
        ENROL,
        EVENTS,
        LOG,
        MAX_LOG_LINES,
        RENEW,
        STATE,
        Credential,
        DesiredState,
        EnrolRequest,
        LogAnswer,
        ModelReport,
        RenewRequest,
        ReportedState,
        read_enrol_request,
        read_log_answer,
        read_renew_request,
        read_reported_state,
        renewal,
        reported_state_of,
        to_plain,
    )
    from .fleet.event_batches import RightEvent, batch_of, read_batch, right_events
    from .fleet.event_reports import EventBatch, EventFields, ReportedEvent
    from .fleet.message_fields import MAX_FLAGS, MAX_MESSAGE_BYTES, Attribute, is_flag
    from .inference.detections import Detection
    from .inference.loaded_model import LoadedModel, Photo, PhotoLabel
    from .live.live_connection import DeviceMessage
    from .photo_search import PhotoMustStay, SearchUnavailable
    from .setting_up import read_root, set_up_device
    from .signed_target import (
        MAX_DELTAS,
        MAX_LATENCY_US,
        MAX_REVOKED,
        METHODS,
        CompanionFile,
        Delta,
        ModelLimits,
        SignedTarget,
        companion_path,
        delta_path,
        is_model_name,
        limits_path,
        read_limits,
        read_target,
        role_of,
        target_path,
    )
    from .updates.retry_times import RetryTimes


__all__ = [
    "ENROL", "EVENTS", "LOG", "MAX_BSDIFF_BYTES", "MAX_COMPANION_BYTES", "MAX_COMPANION_PHOTOS", "MAX_DELTAS",
    "MAX_FLAGS", "MAX_LATENCY_US", "MAX_LOG_LINES", "MAX_MESSAGE_BYTES", "MAX_REVOKED", "MAX_WINDOW_LOG", "METHODS",
    "RENEW", "STATE", "Attribute", "BoxLayout", "Companion", "CompanionFile", "ConditionsHook", "Credential", "Delta",
    "DeltaError", "DesiredState", "Detection", "Device", "DeviceCheck", "DeviceConditions", "DeviceMessage",
    "DeviceSettings", "DeviceSettingsError", "EnrolRequest", "EventBatch", "EventFields", "LoadedModel", "LogAnswer",
    "ModelLimits", "ModelReport", "NewerRecord", "NoModel", "Photo", "PhotoLabel", "PhotoMustStay", "RecordError",
    "RenewRequest", "ReportedEvent", "ReportedState", "RetryTimes", "RightEvent", "SearchUnavailable", "SignedTarget",
    "UpdateRules", "VideoError", "apply_delta", "batch_of", "boxes_of", "check_device", "companion_path",
    "delta_path", "is_flag", "is_model_name", "limits_path", "live_answers", "newest_frames", "read_batch",
    "read_companion", "read_enrol_request", "read_limits", "read_log_answer", "read_renew_request",
    "read_reported_state", "read_root", "read_target", "renewal", "reported_state_of", "right_events", "role_of",
    "set_up_device", "target_path", "to_plain", "video_frames", "with_golden",
]  # fmt: skip
__getattr__ = lazy(__name__)
