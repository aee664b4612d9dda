"""Two callers of one store, one of them paused between looking and acting: every such place is tried in turn.

Python announces each opening, renaming, making or removing of a file to audit hooks (PEP 578) before it is done. The
first caller is paused at its n-th announcement, the second runs meanwhile, and then the first goes on: for n = 0, 1,
2, … until the first has no n-th. So whatever the first found out before may no longer hold when it acts on it.
"""

import fcntl
import itertools
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ACTS = {
    *("open", "sqlite3.connect", "os.chmod", "os.link", "os.listdir", "os.mkdir"),
    *("os.remove", "os.rename", "os.rmdir", "os.scandir", "os.truncate"),
}
PATIENCE_S = 60.0
"""After so long neither caller will ever go on."""


@dataclass(frozen=True)
class Meeting:
    """``check`` is called when both have returned."""

    first: Callable[[], object]
    second: Callable[[], object]
    check: Callable[[], object] = lambda: None


def meet_at_every_act(prepare: Callable[[int], Meeting], *, step: int = 1) -> int:
    """How many acts the first has. ``prepare`` makes a new meeting for each, or each ``step``-th, by its number.

    What a caller or the check raises is raised, with a note of the place.
    """
    for number in itertools.count(step=step):
        meeting = prepare(number)
        pause = _Pause(number)
        try:
            _run(meeting, pause)
            meeting.check()
        except BaseException as error:
            error.add_note(f"the first was paused at act {number}: {pause.act}")
            raise
        if not pause.act:
            return number
    raise AssertionError


@dataclass
class _Pause:
    number: int
    act: str = ""
    """What the first is about to do; empty until it is paused."""
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def announce(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by the first's thread."""
        if self.number == 0 and not self.act:
            self.act = f"{event}{arguments}"
            self.reached.set()
            assert self.over.wait(PATIENCE_S)
        self.number -= 1


_first: dict[int, _Pause] = {}
_second: dict[int, _Pause] = {}
"""By the identifier of the thread."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _first:
        return
    thread = threading.get_ident()
    if event in ACTS and (pause := _first.get(thread)):
        pause.announce(event, arguments)
    elif event == "fcntl.flock" and (pause := _second.pop(thread, None)):
        try:
            fcntl.flock(arguments[0], arguments[1] | fcntl.LOCK_NB)  # which the second has then, as it wants
            _second[thread] = pause
        except BlockingIOError:  # the first has it, and must go on
            pause.over.set()


sys.addaudithook(_hook)


def _run(meeting: Meeting, pause: _Pause) -> None:
    first = _Caller(meeting.first, _first, pause, pause.reached)
    second = _Caller(meeting.second, _second, pause, pause.over)
    first.start()
    assert pause.reached.wait(PATIENCE_S)
    second.start()
    for caller in (second, first):
        caller.join(PATIENCE_S)
        assert not caller.is_alive(), "the callers wait for each other"
    for caller in (first, second):
        if caller.error:
            raise caller.error


class _Caller(threading.Thread):
    def __init__(
        self, call: Callable[[], object], role: dict[int, _Pause], pause: _Pause, done: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._call, self._role, self._pause, self._done = call, role, pause, done
        self.error: BaseException | None = None

    def run(self) -> None:
        thread = threading.get_ident()
        self._role[thread] = self._pause
        try:
            self._call()
        except BaseException as error:
            self.error = error
        finally:
            self._role.pop(thread, None)
            self._done.set()
