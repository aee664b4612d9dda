"""Sessions of ``lykeion.v1``: resumed, or told what was lost and why; credits; who is cut off."""

import random

import pytest

from lykeion.device.conversation.device_session import DeviceSession, OldGateway, SessionRecord
from lykeion.device.conversation.frames import (
    AckFrame,
    BroadcastFrame,
    HelloFrame,
    MessageFrame,
    Reset,
    WelcomeFrame,
)
from lykeion.device.conversation.gateway_session import (
    GATEWAY_WINDOW,
    GatewaySession,
    GroupLog,
    SessionState,
    resume,
)
from lykeion.device.conversation.numbered_ways import NotInTurn, Outgoing
from lykeion.device.conversation.reconnecting import MOST_RETURN_S, reconnect_delay_s, spread_s
from tests.device.conversation_model import Meeting

SESSION = bytes(range(16))
OTHER = bytes(16)


def hello(epoch: int = 3, received: int = 7, first: int = 5, next: int = 5, groups: dict | None = None) -> HelloFrame:
    return HelloFrame(SESSION, epoch, received, first, next, received + 64, groups or {})


KNOWN = SessionState(SESSION, epoch=3, taken=4, first=8, sent=7)


def resets(hello: HelloFrame, known: SessionState | None = KNOWN, **groups: GroupLog) -> list[Reset]:
    return list(resume(hello, known, groups).welcome.resets)


def test_a_session_that_both_know_is_resumed() -> None:
    found = resume(hello(), KNOWN, {})
    assert found.welcome == WelcomeFrame(4, 4, 8, 4 + GATEWAY_WINDOW, {}, ())
    assert found.state == SessionState(SESSION, epoch=4, taken=4, first=8, sent=7)


def test_a_new_session_begins_without_a_reset() -> None:
    assert resets(hello(0, 0, 1, 3), None) == []


def test_what_a_device_could_not_keep_is_told_with_its_numbers() -> None:
    assert resets(hello(first=9, next=12)) == [Reset("up", 5, 8, "the device could not keep them")]


def test_a_gateway_that_lost_a_session_says_so() -> None:
    assert [each.what for each in resets(hello(), None)] == ["session"]


def test_a_gateway_restored_from_an_older_file_says_what_it_does_not_have() -> None:
    (told,) = resets(hello(received=12))
    assert (told.what, told.first, told.last) == ("down", 8, 12)


def test_a_device_restored_from_an_older_file_numbers_what_it_has_anew() -> None:
    device = DeviceSession(SessionRecord(SESSION, 3, 7), [MessageFrame(2, "event", "b")], first=2)
    found = resume(device.hello(), KNOWN, {})
    assert [each.what for each in found.welcome.resets] == ["numbers"]
    device.receive(found.welcome)
    assert device.due() == [MessageFrame(5, "event", "b")]


def test_broadcasts_that_are_no_longer_kept_are_told_by_group() -> None:
    found = resume(hello(groups={"all": 2}), KNOWN, {"all": GroupLog(6, 9), "shop": GroupLog(1, 4)})
    assert found.welcome.resets == (Reset("group:all", 3, 5, "they were not kept any longer"),)
    assert found.welcome.groups == {"all": 5, "shop": 4}


def test_a_reset_is_told_again_until_the_device_has_heard_it() -> None:
    asked = hello(first=9, next=12)
    first = resume(asked, KNOWN, {})
    again = resume(asked, first.state, {})
    assert again.welcome.resets == first.welcome.resets
    heard = resume(asked._replace(epoch=again.state.epoch), again.state, {})
    assert heard.welcome.resets == ()


def test_an_epoch_is_never_given_twice_even_by_a_gateway_with_an_older_file() -> None:
    assert resume(hello(epoch=9), KNOWN, {}).welcome.epoch == 10
    assert resume(hello(epoch=1), KNOWN, {}).welcome.epoch == 4


def test_a_device_refuses_a_welcome_of_an_epoch_that_is_past() -> None:
    device = DeviceSession(SessionRecord(SESSION, 3))
    with pytest.raises(OldGateway):
        device.receive(WelcomeFrame(3, 0, 1, 64, {}, ()))


def test_no_more_is_sent_than_the_other_side_takes() -> None:
    outgoing = Outgoing()
    for number in range(5):
        outgoing.put("event", number)
    outgoing.opened(0, 2)
    assert [frame.number for frame in outgoing.due()] == [1, 2]
    assert outgoing.due() == []
    outgoing.acknowledged(AckFrame(1, 4))
    assert [frame.number for frame in outgoing.due()] == [3, 4]


def test_more_than_may_be_sent_closes_the_connection() -> None:
    session = GatewaySession(hello(), resume(hello(), KNOWN, {}), [])
    for number in range(5, 5 + GATEWAY_WINDOW):
        session.receive(MessageFrame(number, "event", None))
    with pytest.raises(NotInTurn, match="may be sent"):
        session.receive(MessageFrame(5 + GATEWAY_WINDOW, "event", None))


def test_an_acknowledgement_of_what_was_never_sent_closes_the_connection() -> None:
    session = GatewaySession(hello(), resume(hello(), KNOWN, {}), [])
    with pytest.raises(NotInTurn, match="acknowledged"):
        session.receive(AckFrame(8, 100))


def test_nothing_is_acknowledged_before_it_is_on_disk() -> None:
    session = GatewaySession(hello(), resume(hello(), KNOWN, {}), [])
    assert session.receive(MessageFrame(5, "event", None))
    assert session.due() == []
    session.on_disk(5)
    assert session.due() == [AckFrame(5, 5 + GATEWAY_WINDOW)]


def test_a_repeated_message_is_acknowledged_again_and_not_taken_again() -> None:
    session = GatewaySession(hello(), resume(hello(), KNOWN, {}), [])
    assert session.receive(MessageFrame(4, "event", None)) is None
    assert [frame.number for frame in session.due()] == [4]


def test_dropped_broadcasts_are_counted_by_the_device() -> None:
    device = DeviceSession(SessionRecord(SESSION, 3))
    device.receive(WelcomeFrame(4, 0, 1, 64, {"all": 2}, ()))
    assert device.receive(BroadcastFrame("all", 5, "news"))
    assert device.receive(BroadcastFrame("all", 5, "news")) is None
    assert device.dropped_broadcasts == 2


def test_a_welcome_that_comes_first_or_twice_is_the_only_one() -> None:
    device = DeviceSession(SessionRecord(SESSION))
    with pytest.raises(NotInTurn, match="before the welcome"):
        device.receive(AckFrame(0, 1))
    device.receive(WelcomeFrame(1, 0, 1, 64, {}, ()))
    with pytest.raises(NotInTurn, match="second"):
        device.receive(WelcomeFrame(2, 0, 1, 64, {}, ()))


def test_an_old_gateway_that_is_cut_off_stores_nothing_more() -> None:
    meeting = Meeting()
    meeting.report()
    meeting.connect()
    meeting.up()
    meeting.down()
    meeting.up()
    assert meeting.gateway.pending
    meeting.part()
    meeting.settle()
    taken = list(meeting.disk.taken)
    meeting.old_writes()
    assert meeting.disk.taken == taken
    assert len(taken) == 1


def test_devices_that_come_back_together_come_back_apart() -> None:
    chance = random.Random(1)
    waits = sorted(reconnect_delay_s(4, 0, chance) for _ in range(1_000))
    assert waits[0] < 1
    assert waits[-1] > 15
    assert all(reconnect_delay_s(50, 0, chance) <= MOST_RETURN_S for _ in range(100))
    assert all(20 <= reconnect_delay_s(0, 20, chance) <= 40 for _ in range(100))
    assert all(21 <= spread_s(30, chance) <= 39 for _ in range(100))
