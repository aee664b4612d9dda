"""The first signal asks long work to stop after its step, the second stops it."""

import os
import signal
import threading

import pytest

from lykeion.core import Interrupted, stop_here, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_handlers_are_as_before_afterwards(number: int) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        stop_here("all")
        os.kill(os.getpid(), number)
        assert stop.is_set()
        assert signal.getsignal(number) == before
        with pytest.raises(
            Interrupted, match=r"^stopped: 3 of 4 are kept; run the same command again to resume$"
        ) as caught:
            stop_here("3 of 4 are kept")
    assert caught.value.exit_code == 130
    assert signal.getsignal(number) == before
    stop_here("nothing")


def test_the_second_signal_stops_at_once_also_in_work_within_work() -> None:
    with stop_signals() as outer, stop_signals() as inner:
        os.kill(os.getpid(), signal.SIGINT)
        assert outer is inner
        assert outer.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_work_within_work_leaves_the_outer_handlers() -> None:
    with stop_signals() as stop:
        with stop_signals():
            pass
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
    with stop_signals() as again:
        assert not again.is_set()


def test_a_signal_does_not_stop_work_of_another_thread() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            stop_here("nothing")
            seen.append(stop.is_set())

    with stop_signals() as stop:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert stop.wait(60)
    assert seen == [False]
