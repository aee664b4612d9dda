"""Stopping cleanly: after the first SIGINT or SIGTERM the current step is finished; the second stops at once."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from .errors import LykeionError


class Interrupted(LykeionError):
    """Stopped by a signal; finished work is kept, and the message says how to resume."""

    exit_code = 130


@contextmanager
def stop_signals() -> Generator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; on exit the previous signal handlers are restored.

    Nested contexts share the event. Signals reach only the main thread, so in other threads it is never set.
    """
    if threading.current_thread() is not threading.main_thread():
        yield threading.Event()
        return
    if _asked:
        yield _asked[0]
        return
    stop = threading.Event()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()
        os.write(2, b"stopping after this step; the same signal again stops at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    _asked.append(stop)
    try:
        yield stop
    finally:
        _asked.clear()
        restore()


def stop_here(kept: str) -> None:
    """Call between steps whose results are saved: raises Interrupted if a signal has arrived."""
    if threading.current_thread() is threading.main_thread() and _asked and _asked[0].is_set():
        raise Interrupted(f"stopped: {kept}; run the same command again to resume")


_asked: list[threading.Event] = []
