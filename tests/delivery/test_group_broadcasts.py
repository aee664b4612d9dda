"""Broadcasts of groups in memory: each is sent once, in order."""

from lykeion.delivery.device_sessions import Broadcast
from lykeion.delivery.gateway.group_broadcasts import GroupBroadcasts


def log(*numbers: int, kept: int = 5) -> GroupBroadcasts:
    made = GroupBroadcasts(kept)
    for number in numbers:
        made.add(Broadcast("all", number, None))
    return made


def test_none_is_left_out_when_another_is_added_to_a_full_log_while_they_are_sent() -> None:
    broadcasts, sent = log(1, 2, 3, 4, 5), list[int]()
    for number, _ in broadcasts.after("all", 0):
        sent.append(number)
        broadcasts.add(Broadcast("all", 5 + number, None))
    assert sent == [1, 2, 3, 4, 5]
    assert [number for number, _ in broadcasts.after("all", 5)] == [6, 7, 8, 9, 10]


def test_only_what_is_higher_is_sent_also_where_some_are_missing() -> None:
    broadcasts = log(5, 1_009, 1_010)
    assert [number for number, _ in broadcasts.after("all", 5)] == [1_009, 1_010]
    assert [number for number, _ in broadcasts.after("all", 1_009)] == [1_010]
    assert list(broadcasts.after("all", 1_010)) == list(broadcasts.after("none", 0)) == []
