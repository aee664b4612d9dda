"""A device, a gateway and their disks as plain data, and a network that breaks, for tests of ``lykeion.v1``."""

from dataclasses import dataclass, field, replace
from typing import Any

from lykeion.device.conversation.device_session import DeviceSession, OldGateway, SessionRecord
from lykeion.device.conversation.frame_codec import read_frame, write_frame
from lykeion.device.conversation.frames import (
    AckFrame,
    BroadcastFrame,
    Frame,
    HelloFrame,
    MessageFrame,
    Reset,
    WelcomeFrame,
)
from lykeion.device.conversation.gateway_session import GatewaySession, GroupLog, SessionState, resume
from lykeion.device.conversation.numbered_ways import NotInTurn

GROUP = "all"


@dataclass
class GatewayDisk:
    """What is committed. ``taken`` and ``given`` have what came and what was numbered, in order, with its epoch."""

    state: SessionState | None = None
    taken: list[tuple[int, int, Any]] = field(default_factory=list)
    waiting: list[Any] = field(default_factory=list)
    numbered: dict[int, Any] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)
    first_logged: int = 1


@dataclass
class DeviceDisk:
    record: SessionRecord
    kept: list[MessageFrame] = field(default_factory=list)
    first: int = 1
    taken: list[tuple[int, Any]] = field(default_factory=list)


@dataclass
class ModelGateway:
    """One process. Its ``session`` and what is ``pending`` die with it."""

    disk: GatewayDisk
    session: GatewaySession | None = None
    pending: list[MessageFrame] = field(default_factory=list)
    sent_of_group: int = 0

    def hello(self, hello: HelloFrame) -> list[Frame]:
        disk = self.disk
        resumed = resume(hello, disk.state, {GROUP: GroupLog(disk.first_logged, len(disk.log))})
        first = resumed.welcome.first
        if resumed.is_new:
            disk.waiting[:0] = [disk.numbered[number] for number in sorted(disk.numbered)]
            disk.numbered.clear()
        disk.numbered = {number: body for number, body in disk.numbered.items() if number >= first}
        disk.state = resumed.state
        kept = [MessageFrame(number, "command", disk.numbered[number]) for number in sorted(disk.numbered)]
        self.session, self.pending = GatewaySession(hello, resumed, kept), []
        self.sent_of_group = resumed.welcome.groups[GROUP]
        return [resumed.welcome]

    def commit(self, most: int) -> bool:
        """What is pending is stored and acknowledged, as far as ``most``. False if this connection was fenced."""
        session, state = self.session, self.disk.state
        assert session
        assert state
        if state.epoch != session.epoch:
            return False
        for frame in self.pending[:most]:
            assert frame.number == state.taken + 1
            self.disk.taken.append((frame.number, session.epoch, frame.body))
            state = replace(state, taken=frame.number)
            session.on_disk(frame.number)
        del self.pending[:most]
        while self.disk.waiting and session.room:
            body = self.disk.waiting.pop(0)
            frame = session.put("command", body)
            assert frame.number == state.sent + 1
            self.disk.numbered[frame.number] = body
            state = replace(state, sent=frame.number)
        self.disk.state = state
        return True

    def acknowledged(self, ack: AckFrame) -> None:
        state = self.disk.state
        assert state
        assert self.session
        if state.epoch == self.session.epoch and ack.number >= state.first:
            self.disk.state = replace(state, first=ack.number + 1)
            self.disk.numbered = {n: body for n, body in self.disk.numbered.items() if n > ack.number}

    def due(self, broadcasts: bool = True) -> list[Frame]:
        assert self.session
        frames: list[Frame] = self.session.due()
        if broadcasts:
            start = max(self.sent_of_group + 1, self.disk.first_logged)
            frames += [BroadcastFrame(GROUP, n, self.disk.log[n - 1]) for n in range(start, len(self.disk.log) + 1)]
            self.sent_of_group = len(self.disk.log)
        return frames


class ModelDevice:
    def __init__(self, most: int = 5) -> None:
        self._most = most
        self.disk = DeviceDisk(SessionRecord(bytes(16)))
        self.resets: list[Reset] = []
        self.broadcasts: list[int] = []
        self.start()

    def start(self) -> None:
        """Also after a crash: only the disk is left."""
        disk = self.disk
        self.session = DeviceSession(disk.record, disk.kept, disk.first, self._most)

    def put(self, body: Any) -> list[Any]:
        """Returns what was dropped for it."""
        _, dropped = self.session.put("event", body)
        self.save()
        return [frame.body for frame in dropped]

    def receive(self, frame: Frame) -> None:
        given = self.session.receive(frame)
        if isinstance(given, MessageFrame):
            self.disk.taken.append((given.number, given.body))
            self.session.on_disk(given.number)
        if isinstance(given, WelcomeFrame):
            self.resets += given.resets
        if isinstance(given, BroadcastFrame):
            self.broadcasts.append(given.number)
        self.save()

    def save(self) -> None:
        outgoing = self.session.outgoing
        self.disk.record, self.disk.first = self.session.record, outgoing.first
        self.disk.kept = list(outgoing._kept)


class Network:
    """One connection: two queues of bytes, as a WebSocket has them."""

    def __init__(self) -> None:
        self.up: list[bytes] = []
        self.down: list[bytes] = []


class Meeting:
    """A device with a gateway: every step is a method, so that any order of them can be tried."""

    def __init__(self) -> None:
        self.disk = GatewayDisk()
        self.device, self.gateway, self.network = ModelDevice(), ModelGateway(self.disk), None
        self.old: list[ModelGateway] = []
        self.made = self.commanded = 0
        self.dropped: list[Any] = []
        self.refusals: list[str] = []

    def connect(self) -> None:
        self.network = Network()
        self.network.up.append(write_frame(self.device.session.hello()))

    def cut(self) -> None:
        """What is under way is lost, and the gateway does not hear of it."""
        self.network = None
        self.device.session.open = False

    def report(self) -> None:
        self.made += 1
        self.dropped += self.device.put(self.made)
        self.device_sends()

    def command(self) -> None:
        self.commanded += 1
        self.disk.waiting.append(self.commanded)

    def device_sends(self) -> None:
        if self.network:
            self.network.up += [write_frame(frame) for frame in self.device.session.due()]

    def gateway_sends(self, broadcasts: bool = True) -> None:
        if self.network and self.gateway.session:
            self.network.down += [write_frame(frame) for frame in self.gateway.due(broadcasts)]

    def up(self) -> None:
        """The next frame arrives at the gateway."""
        if not (self.network and self.network.up):
            return
        frame = read_frame(self.network.up.pop(0))
        if isinstance(frame, HelloFrame):
            self.network.down += [write_frame(each) for each in self.gateway.hello(frame)]
            return
        if self.gateway.session is None:  # a new process, which knows nothing of this connection
            self.cut()
            return
        try:
            given = self.gateway.session.receive(frame)
        except NotInTurn as error:
            self.refusals.append(str(error))
            self.cut()
            return
        if isinstance(given, MessageFrame):
            self.gateway.pending.append(given)
        if isinstance(given, AckFrame):
            self.gateway.acknowledged(given)

    def down(self) -> None:
        if not (self.network and self.network.down):
            return
        try:
            self.device.receive(read_frame(self.network.down.pop(0)))
        except (NotInTurn, OldGateway) as error:
            self.refusals.append(str(error))
            self.cut()
            return
        self.device_sends()

    def commit(self, most: int = 1_000) -> None:
        if self.gateway.session:
            if not self.gateway.commit(most):
                self.gateway.session = None
                self.cut()
                return
            self.gateway_sends(broadcasts=False)

    def restart_gateway(self) -> None:
        """kill -9: what was not committed is gone."""
        self.gateway = ModelGateway(self.disk)
        self.cut()

    def part(self) -> None:
        """The gateway is cut off but goes on; the device meets another one."""
        self.old.append(self.gateway)
        self.gateway = ModelGateway(self.disk)
        self.cut()

    def old_writes(self) -> None:
        for each in self.old:
            if each.session:
                each.commit(1_000)

    def restart_device(self) -> None:
        self.device.start()
        self.cut()

    def settle(self) -> None:
        """All that can arrive arrives."""
        for _ in range(6):
            if self.network is None or not self.device.session.open:
                self.connect()
            for _ in range(400):
                self.up()
                self.commit()
                self.gateway_sends()
                self.down()
                self.device_sends()
                if self.network is None or not (self.network.up or self.network.down):
                    break
