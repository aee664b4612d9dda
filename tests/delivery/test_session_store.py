"""Sessions, commands and broadcasts in the store: one suite on SQLite and on PostgreSQL."""

import math
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lykeion.delivery.device_service import FleetStore, keep_events, open_fleet
from lykeion.delivery.device_sessions import (
    Fenced,
    acknowledge,
    add_broadcast,
    add_command,
    broadcasts_after,
    commands_of,
    commands_since,
    end_command,
    forget_old_commands,
    give_commands,
    group_ends,
    resume_session,
    session_records,
    take_messages,
)
from lykeion.delivery.device_sessions.session_records import KEPT_COMMANDS_S, MAX_COMMAND_BYTES
from lykeion.device import EventBatch, ReportedEvent
from lykeion.device.conversation import HelloFrame, MessageFrame, Reset

SESSION = bytes(16)


@pytest.fixture
def opened(open_base: Callable[[], FleetStore]) -> Callable[[], FleetStore]:
    return open_base


def hello(epoch: int = 0, received: int = 0, first: int = 1, next: int = 1, **groups: int) -> HelloFrame:
    return HelloFrame(SESSION, epoch, received, first, next, 64, groups)


def resumed(store: FleetStore, said: HelloFrame, groups: tuple[str, ...] = ()) -> tuple:
    with store.transaction() as now:
        return resume_session(now, "d-1", said, groups, "gateway", 1.0)


def take(store: FleetStore, epoch: int, *numbers: int) -> None:
    def keep(now: object, message: MessageFrame) -> None:
        keep_events(now, "d-1", EventBatch((ReportedEvent(message.number, "event", "a", 1.0, {}),), {}), 1.0)

    with store.transaction() as now:
        take_messages(now, "d-1", epoch, [MessageFrame(number, "events", None) for number in numbers], keep)


def command(store: FleetStore, key: str, at: float = 1.0, expires: float = 100.0) -> bool:
    with store.transaction() as now:
        return add_command(now, "d-1", key, "blink", {"n": 1}, expires, at, "test")


def give(store: FleetStore, epoch: int, most: int = 64, at: float = 2.0) -> list:
    with store.transaction() as now:
        return give_commands(now, "d-1", epoch, most, at)


def numbers(store: FleetStore) -> list[int]:
    return [row["number"] for row in store.rows("SELECT number FROM events ORDER BY number")]


def test_a_session_goes_on_where_it_ended_also_for_another_process(opened: Callable[[], FleetStore]) -> None:
    first, _ = resumed(opened(), hello())
    take(opened(), first.state.epoch, 1, 2, 3)
    again, _ = resumed(opened(), hello(epoch=1, next=4))
    assert (again.welcome.epoch, again.welcome.received, again.welcome.resets) == (2, 3, ())


def test_whoever_has_an_older_epoch_stores_nothing_any_more(opened: Callable[[], FleetStore]) -> None:
    store, other = opened(), opened()
    old, _ = resumed(store, hello())
    take(store, old.state.epoch, 1)
    command(store, "k1")
    new, _ = resumed(other, hello(epoch=1, next=2))
    for write in (
        lambda: take(store, old.state.epoch, 2),
        lambda: give(store, old.state.epoch),
        lambda: _acknowledge(store, old.state.epoch, 1),
    ):
        with pytest.raises(Fenced):
            write()
    assert numbers(store) == [1]
    take(other, new.state.epoch, 2)
    assert numbers(store) == [1, 2]


def _acknowledge(store: FleetStore, epoch: int, number: int) -> None:
    with store.transaction() as now:
        acknowledge(now, "d-1", epoch, number)


def test_of_connections_that_take_a_session_at_once_each_has_another_epoch(opened: Callable[[], FleetStore]) -> None:
    stores, epochs, fenced = [opened() for _ in range(4)], list[int](), list[Fenced]()

    def greet(store: FleetStore) -> None:
        for _ in range(10):
            try:
                epochs.append(resumed(store, hello(next=1))[0].state.epoch)
            except Fenced as error:
                fenced.append(error)

    threads = [threading.Thread(target=greet, args=(store,)) for store in stores]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(epochs) + len(fenced) == 40
    assert sorted(epochs) == sorted(set(epochs))


def test_numbers_are_taken_in_turn_and_once(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    epoch = resumed(store, hello())[0].state.epoch
    take(store, epoch, 1, 2)
    for wrong in ((2, 3), (4,)):
        with pytest.raises(Fenced):
            take(store, epoch, *wrong)
    assert numbers(store) == [1, 2]


def test_a_command_is_put_once_numbered_once_and_kept_until_it_is_acknowledged(
    opened: Callable[[], FleetStore],
) -> None:
    store = opened()
    assert [command(store, "k1"), command(store, "k1"), command(store, "k2", at=1.5)] == [True, False, True]
    assert commands_since(store, 0.0) == (1.5, {"d-1"})
    epoch = resumed(store, hello())[0].state.epoch
    assert [(each.key, each.number) for each in give(store, epoch, most=1)] == [("k1", 1)]
    assert [(each.key, each.number) for each in give(store, epoch)] == [("k2", 2)]
    again, kept = resumed(store, hello(epoch=1))
    assert [(each.key, each.number) for each in kept] == [("k1", 1), ("k2", 2)]
    _acknowledge(store, again.state.epoch, 1)
    _, kept = resumed(store, hello(epoch=2, received=1))
    assert [each.key for each in kept] == ["k2"]
    with store.transaction() as now:
        end_command(now, "d-1", "k2", True, {"fine": 1})
    assert [(each.state, each.said) for each in commands_of(store, "d-1")] == [
        ("delivered", None),
        ("done", {"fine": 1}),
    ]


def test_commands_of_a_session_that_was_replaced_are_numbered_again(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    command(store, "k1")
    give(store, resumed(store, hello())[0].state.epoch)
    other = hello()._replace(session=bytes(range(16)))
    new, kept = resumed(store, other)
    assert kept == []
    assert [(each.key, each.number) for each in give(store, new.state.epoch)] == [("k1", 1)]


def test_what_nobody_wants_any_longer_is_not_given(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    command(store, "k1", expires=1.5)
    assert give(store, resumed(store, hello())[0].state.epoch) == []
    assert [each.state for each in commands_of(store, "d-1")] == ["expired"]


def test_a_command_whose_answer_is_longer_than_is_kept_can_still_be_read(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    command(store, "k1")
    give(store, resumed(store, hello())[0].state.epoch)
    with store.transaction() as now:
        end_command(now, "d-1", "k1", True, "x" * (MAX_COMMAND_BYTES + 1))
    _, (kept,) = resumed(store, hello(epoch=1))
    assert (kept.state, kept.said) == ("done", "an answer of 65,539 bytes; 65,536 are kept")


def keys(store: FleetStore) -> list[str]:
    return [each.key for each in commands_of(store, "d-1")]


def test_commands_that_nobody_has_wanted_for_long_are_forgotten_but_not_one_that_is_under_way(
    opened: Callable[[], FleetStore],
) -> None:
    store = opened()
    for key in ("done", "delivered", "sent"):
        command(store, key)
    epoch = resumed(store, hello())[0].state.epoch
    give(store, epoch)
    command(store, "waiting")
    command(store, "later", expires=200.0)
    _acknowledge(store, epoch, 2)  # delivered and done
    with store.transaction() as now:
        end_command(now, "d-1", "done", True, None)
        end_command(now, "d-1", "sent", True, None)  # its number was not acknowledged yet
    assert forget_old_commands(store, 100.0 + KEPT_COMMANDS_S) == 0
    assert forget_old_commands(store, 100.1 + KEPT_COMMANDS_S) == 3
    assert sorted(keys(store)) == ["later", "sent"]
    _, kept = resumed(store, hello(epoch=1, received=2))
    assert [(each.key, each.number) for each in kept] == [("sent", 3)]
    assert command(store, "done")  # its key may be used again


def test_of_commands_that_have_ended_the_last_are_kept(
    opened: Callable[[], FleetStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_records, "KEPT_ENDED", 3)
    store = opened()
    for number in range(6):
        command(store, f"k{number}", at=float(number))
        with store.transaction() as now:
            end_command(now, "d-1", f"k{number}", True, None)
    command(store, "new", at=9.0)
    assert keys(store) == ["k3", "k4", "k5", "new"]


TOO_DEEP: list = [[[[[[[[1]]]]]]]]


@pytest.mark.parametrize("body", [TOO_DEEP, 1 << 70], ids=["too deep", "too large a number"])
def test_what_no_device_could_read_is_neither_a_command_nor_a_broadcast(
    opened: Callable[[], FleetStore], body: object
) -> None:
    """It would end each connection that it is sent on, again and again."""
    from lykeion.core import Invalid

    store = opened()
    with store.transaction() as now:
        with pytest.raises(Invalid, match="cannot be read by devices"):
            add_command(now, "d-1", "k1", "blink", body, 100.0, 1.0, "test")
        with pytest.raises(Invalid, match="cannot be read by devices"):
            add_broadcast(now, "all", body, 1.0, "test")
    assert commands_of(store, "d-1") == []
    assert group_ends(store) == {}


@pytest.mark.parametrize("said", [b"bytes", math.nan, {1: {2: b""}}])
def test_an_answer_that_is_no_json_is_refused(opened: Callable[[], FleetStore], said: object) -> None:
    from lykeion.core import Invalid

    store = opened()
    command(store, "k1")
    with store.transaction() as now, pytest.raises(Invalid, match="no JSON"):
        end_command(now, "d-1", "k1", True, said)
    assert [each.state for each in commands_of(store, "d-1")] == ["waiting"]


def test_broadcasts_are_numbered_by_group_and_the_oldest_go(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    for number in range(1, 6):
        with store.transaction() as now:
            assert add_broadcast(now, "all", number, 1.0, "test", kept=2) == number
    assert group_ends(store) == {"all": (4, 5)}
    assert [each.body for each in broadcasts_after(store, "all", 4)] == [5]
    welcome = resumed(store, hello(all=1), ("all",))[0].welcome
    assert welcome.resets == (Reset("group:all", 2, 3, "they were not kept any longer"),)


def test_what_was_lost_is_told_until_it_was_heard(opened: Callable[[], FleetStore]) -> None:
    store = opened()
    resumed(store, hello())
    (reset,) = resumed(store, hello(epoch=1, first=4, next=5))[0].welcome.resets
    assert resumed(store, hello(epoch=1, first=4, next=5))[0].welcome.resets == (reset,)
    assert resumed(store, hello(epoch=3, first=4, next=5))[0].welcome.resets == ()


def test_what_cannot_be_stored_takes_nothing_else_with_it(opened: Callable[[], FleetStore]) -> None:
    from lykeion.core import Invalid

    store = opened()
    with store.transaction() as now:
        with pytest.raises(Invalid), now.attempt():
            now.change("INSERT INTO audit (at, who, what) VALUES (?, ?, ?)", (None, "a", "b"))
        now.record(5.0, "test", "kept")
    assert [row["what"] for row in store.rows("SELECT what FROM audit")] == ["kept"]
    assert math.isclose(store.rows("SELECT at FROM audit")[0]["at"], 5.0)


def test_an_address_of_no_store_is_refused_in_one_line(tmp_path: Path) -> None:
    from lykeion.core import LykeionError

    with pytest.raises(LykeionError, match="postgresql://"):
        open_fleet(tmp_path, "mysql://somewhere")
    with pytest.raises(LykeionError, match="database of devices"):
        open_fleet(tmp_path, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
