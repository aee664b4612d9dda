"""The state machine of ``lykeion.v1``, driven by steps that are plain JSON: the same in Python and in TypeScript.

transcripts/README.md has the format.
"""

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from lykeion.device.conversation import (
    DeviceSession,
    FrameError,
    GatewaySession,
    GroupLog,
    HelloFrame,
    MessageFrame,
    NotInTurn,
    OldGateway,
    Reset,
    Resumption,
    SessionRecord,
    SessionState,
    read_cbor,
    read_frame,
    resume,
    write_cbor,
    write_frame,
)
from lykeion.device.errors import UpdateUnavailable
from lykeion.device.live.frame_transports import read_frames, write_frames

Step = dict[str, Any]
_REFUSALS = {
    FrameError: "no-frame",
    NotInTurn: "not-in-turn",
    OldGateway: "old-gateway",
    UpdateUnavailable: "no-frame",
}
_WHOLE = 1 << 53


class TranscriptMachine:
    """A device and a gateway, which know nothing of each other but the frames that steps hand on."""

    def __init__(self) -> None:
        self.device: DeviceSession | None = None
        self.gateway: GatewaySession | None = None
        self._resumed: tuple[HelloFrame, Resumption] | None = None

    def do(self, step: Step) -> Step:
        """What the step gives: its outputs, or ``refused``; with the state of its side after it."""
        call: Callable[[Step], Step] = getattr(self, f"_{step['side']}_{step['do']}")
        try:
            given = call(step)
        except tuple(_REFUSALS) as error:
            given = {"refused": next(name for kind, name in _REFUSALS.items() if isinstance(error, kind))}
        state = {"device": self._device_state, "gateway": self._gateway_state}.get(step["side"], lambda: None)()
        return given | ({"state": state} if state else {})

    def _device_begin(self, step: Step) -> Step:
        record = SessionRecord(bytes.fromhex(step["session"]), step["epoch"], step["received"], step["groups"])
        self.device = DeviceSession(record, _frames(step["kept"]), step["first"], step["most"])
        return {}

    def _device_hello(self, step: Step) -> Step:
        return {"frame": _hex(self._of_device.hello())}

    def _device_cut(self, step: Step) -> Step:
        self._of_device.open = False
        return {}

    def _device_put(self, step: Step) -> Step:
        made, dropped = self._of_device.put(step["name"], read_cbor(bytes.fromhex(step["body"])))
        return {"frame": _hex(made), "dropped": [each.number for each in dropped]}

    def _device_receive(self, step: Step) -> Step:
        return {"frame": _hex(self._of_device.receive(_frame(step["frame"])))}

    def _device_on_disk(self, step: Step) -> Step:
        self._of_device.on_disk(step["number"])
        return {}

    def _device_due(self, step: Step) -> Step:
        return {"frames": [_hex(each) for each in self._of_device.due()]}

    def _gateway_resume(self, step: Step) -> Step:
        hello = _frame(step["hello"])
        assert isinstance(hello, HelloFrame)
        groups = {name: GroupLog(first, last) for name, (first, last) in step["groups"].items()}
        resumed = resume(hello, _known(step["known"]), groups)
        self._resumed, self.gateway = (hello, resumed), None
        return {"frame": _hex(resumed.welcome), "known": _plain(resumed.state), "is_new": resumed.is_new}

    def _gateway_open(self, step: Step) -> Step:
        assert self._resumed
        self.gateway = GatewaySession(*self._resumed, _frames(step["kept"]))
        return {}

    def _gateway_put(self, step: Step) -> Step:
        return {"frame": _hex(self._of_gateway.put(step["name"], read_cbor(bytes.fromhex(step["body"]))))}

    def _gateway_receive(self, step: Step) -> Step:
        return {"frame": _hex(self._of_gateway.receive(_frame(step["frame"])))}

    def _gateway_on_disk(self, step: Step) -> Step:
        self._of_gateway.on_disk(step["number"])
        return {}

    def _gateway_due(self, step: Step) -> Step:
        return {"frames": [_hex(each) for each in self._of_gateway.due()]}

    def _codec_read(self, step: Step) -> Step:
        data = whole(step["data"])
        frame = read_frame(data)
        return {"value": notation(read_cbor(data)), "written": shortened(write_frame(frame))}

    def _polling_split(self, step: Step) -> Step:
        return {"frames": [each.hex() for each in read_frames(bytes.fromhex(step["data"]))]}

    def _polling_join(self, step: Step) -> Step:
        return {"data": write_frames([bytes.fromhex(each) for each in step["frames"]]).hex()}

    @property
    def _of_device(self) -> DeviceSession:
        assert self.device
        return self.device

    @property
    def _of_gateway(self) -> GatewaySession:
        assert self.gateway
        return self.gateway

    def _device_state(self) -> Step:
        device = self._of_device
        more = {"open": device.open, "groups": dict(sorted(device.groups.items()))}
        return _ways(device) | more | {"dropped_broadcasts": device.dropped_broadcasts}

    def _gateway_state(self) -> Step:
        return _ways(self.gateway) | {"room": self.gateway.room} if self.gateway else {}


def notation(value: Any) -> Any:
    """A value in JSON: a float by its bits, unless it is a whole number up to 2^53, which JavaScript has once."""
    match value:
        case float() if value.is_integer() and abs(value) <= _WHOLE and not _is_minus_zero(value):
            return {"int": str(int(value))}
        case float():
            return {"float": struct.pack(">d", value).hex() if value == value else "nan"}
        case bool() | None | str():
            return value
        case int():
            return {"int": str(value)}
        case bytes():
            return {"bytes": shortened(value)}
        case list() | tuple():
            return [notation(each) for each in value]
        case _:
            return {"map": {key: notation(each) for key, each in sorted(value.items())}}


def body_hex(value: Any) -> str:
    return write_cbor(value).hex()


def shortened(data: bytes) -> str:
    """In hexadecimal, with ``(00*262144)`` for that many equal bytes."""
    written, place = "", 0
    for run in re.finditer(rb"(.)\1{63,}", data, re.DOTALL):
        written += data[place : run.start()].hex() + f"({run[1].hex()}*{len(run[0])})"
        place = run.end()
    return written + data[place:].hex()


def whole(text: str) -> bytes:
    """What was ``shortened``."""
    return bytes.fromhex(re.sub(r"\((..)\*(\d+)\)", lambda run: run[1] * int(run[2]), text))


def _is_minus_zero(value: float) -> bool:
    return struct.pack(">d", value)[0] == 0x80 and value == 0


def _ways(session: DeviceSession | GatewaySession) -> Step:
    incoming, outgoing = session.incoming, session.outgoing
    return {
        "epoch": session.epoch,
        "incoming": {"taken": incoming.taken, "stored": incoming.stored, "limit": incoming.limit},
        "outgoing": {
            "first": outgoing.first,
            "next": outgoing.next,
            "limit": outgoing.limit,
            "kept": [each.number for each in outgoing.kept()],
        },
    }


def _known(plain: Mapping[str, Any] | None) -> SessionState | None:
    if plain is None:
        return None
    untold = tuple((epoch, Reset(*reset)) for epoch, reset in plain["untold"])
    numbers = (plain["epoch"], plain["taken"], plain["first"], plain["sent"])
    return SessionState(bytes.fromhex(plain["session"]), *numbers, untold)


def _plain(state: SessionState) -> Step:
    return {
        "session": state.session.hex(),
        "epoch": state.epoch,
        "taken": state.taken,
        "first": state.first,
        "sent": state.sent,
        "untold": [[epoch, list(reset)] for epoch, reset in state.untold],
    }


def _frame(text: str) -> Any:
    return read_frame(bytes.fromhex(text))


def _frames(texts: list[str]) -> list[MessageFrame]:
    return [_frame(each) for each in texts]


def _hex(frame: Any) -> str | None:
    return write_frame(frame).hex() if frame is not None else None
