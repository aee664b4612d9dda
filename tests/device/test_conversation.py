"""The conversation of a device and its gateway, without a network: any order of steps, frames, crashes."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lykeion.device.conversation.frame_codec import read_frame
from lykeion.device.conversation.frames import HelloFrame
from tests.device.conversation_model import Meeting


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing twice, nothing out of turn, and nothing lost in silence."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting = Meeting()

    @rule(times=st.integers(1, 3))
    def report(self, times: int) -> None:
        for _ in range(times):
            self.meeting.report()

    @rule()
    def command(self) -> None:
        self.meeting.command()

    @rule()
    def broadcast(self) -> None:
        self.meeting.disk.log.append(len(self.meeting.disk.log) + 1)

    @rule(kept=st.integers(0, 2))
    def forget_broadcasts(self, kept: int) -> None:
        disk = self.meeting.disk
        disk.first_logged = max(disk.first_logged, len(disk.log) + 1 - kept)

    @rule()
    def begin_to_connect(self) -> None:
        self.meeting.connect()

    @rule(reports=st.integers(0, 2))
    def connect(self, reports: int) -> None:
        self.meeting.connect()
        self.meeting.up()
        self.meeting.down()
        for _ in range(reports):
            self.meeting.report()
            self.meeting.up()

    @rule(times=st.integers(1, 4))
    def up(self, times: int) -> None:
        for _ in range(times):
            self.meeting.up()

    @rule(times=st.integers(1, 4))
    def down(self, times: int) -> None:
        for _ in range(times):
            self.meeting.down()

    @rule(most=st.integers(0, 3))
    def commit(self, most: int) -> None:
        self.meeting.commit(most)

    @rule()
    def send(self) -> None:
        self.meeting.gateway_sends()

    @rule()
    def settle(self) -> None:
        self.meeting.settle()

    @rule()
    def cut(self) -> None:
        self.meeting.cut()

    @rule()
    def kill_gateway(self) -> None:
        self.meeting.restart_gateway()

    @rule()
    def kill_device(self) -> None:
        self.meeting.restart_device()

    @rule()
    def part(self) -> None:
        self.meeting.part()

    @rule()
    def old_writes(self) -> None:
        self.meeting.old_writes()

    @precondition(lambda self: self.meeting.network and self.meeting.network.up)
    @rule(place=st.integers(0, 5))
    def repeat(self, place: int) -> None:
        up = self.meeting.network.up
        frame = up[place % len(up)]
        if not isinstance(read_frame(frame), HelloFrame):
            up.append(frame)

    @precondition(lambda self: self.meeting.network and len(self.meeting.network.up) > 1)
    @rule()
    def reorder(self) -> None:
        up = self.meeting.network.up
        if not isinstance(read_frame(up[0]), HelloFrame):
            up[0], up[1] = up[1], up[0]

    @invariant()
    def nothing_is_taken_twice_and_epochs_grow(self) -> None:
        taken = self.meeting.disk.taken
        bodies = [body for _, _, body in taken]
        assert bodies == sorted(set(bodies))
        assert [number for number, _, _ in taken] == sorted({number for number, _, _ in taken})
        assert [epoch for _, epoch, _ in taken] == sorted(epoch for _, epoch, _ in taken)
        commands = self.meeting.device.disk.taken
        assert [body for _, body in commands] == list(range(1, len(commands) + 1))
        assert [number for number, _ in commands] == list(range(1, len(commands) + 1))

    @invariant()
    def what_is_missing_was_told(self) -> None:
        state = self.meeting.disk.state
        if state is None:
            return
        resets = [*self.meeting.device.resets, *(reset for _, reset in state.untold)]
        told = {n for reset in resets if reset.what == "up" for n in range(reset.first, reset.last + 1)}
        taken = {number for number, _, _ in self.meeting.disk.taken}
        assert set(range(1, state.taken + 1)) - taken <= told

    def teardown(self) -> None:
        meeting = self.meeting
        meeting.cut()  # what was dropped last is told by the next welcome
        meeting.settle()
        came = {body for _, _, body in meeting.disk.taken}
        assert came | set(meeting.dropped) == set(range(1, meeting.made + 1))
        assert [body for _, body in meeting.device.disk.taken] == list(range(1, meeting.commanded + 1))
        assert meeting.device.session.groups == {"all": len(meeting.disk.log)}


AnyOrder.TestCase.settings = settings(stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
