"""``lykeion.v1``, the conversation of a device and its gateway: frames, and what each side does with them. No I/O."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .device_session import DeviceSession, OldGateway, SessionRecord
    from .frame_codec import MAX_QUERY_BYTES, FrameError, read_cbor, read_frame, write_cbor, write_frame
    from .frames import (
        PROTOCOL,
        AckFrame,
        AnswerFrame,
        BroadcastFrame,
        ByeFrame,
        CancelFrame,
        DesiredFrame,
        Frame,
        HelloFrame,
        MessageFrame,
        PresenceFrame,
        QueryFrame,
        Reset,
        WelcomeFrame,
    )
    from .gateway_session import GatewaySession, GroupLog, Resumption, SessionState, resume
    from .numbered_ways import NotInTurn
    from .reconnecting import FIRST_RETURN_S, MOST_RETURN_S, first_wait_s, reconnect_delay_s, spread_s

__all__ = [
    "FIRST_RETURN_S",
    "MAX_QUERY_BYTES",
    "MOST_RETURN_S",
    "PROTOCOL",
    "AckFrame",
    "AnswerFrame",
    "BroadcastFrame",
    "ByeFrame",
    "CancelFrame",
    "DesiredFrame",
    "DeviceSession",
    "Frame",
    "FrameError",
    "GatewaySession",
    "GroupLog",
    "HelloFrame",
    "MessageFrame",
    "NotInTurn",
    "OldGateway",
    "PresenceFrame",
    "QueryFrame",
    "Reset",
    "Resumption",
    "SessionRecord",
    "SessionState",
    "WelcomeFrame",
    "first_wait_s",
    "read_cbor",
    "read_frame",
    "reconnect_delay_s",
    "resume",
    "spread_s",
    "write_cbor",
    "write_frame",
]
__getattr__ = lazy(__name__)
