"""Progress and one-line notices of long operations, reported to the Reporter that the caller passes in."""

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from .terminal import print_line, visible


class Progress(Protocol):
    """The progress of one operation. ``total`` may be unknown (None), and may be set later."""

    total: int | None

    def advance(self, count: int = 1) -> None: ...


Entered: TypeAlias = AbstractContextManager[Progress]


class Reporter(Protocol):
    """Receives progress and notices. One operation calls it from one thread at a time."""

    def progress(self, title: str, total: int | None = None, *, unit: str = "items") -> Entered: ...

    def notice(self, text: str) -> None: ...


class ConsoleReporter:
    """On standard error: a bar on a terminal (rich); elsewhere a line every ``every_s`` seconds, and at the end."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s

    def progress(self, title: str, total: int | None = None, *, unit: str = "items") -> Entered:
        return _ConsoleProgress(title, total, unit, self._every_s)

    def notice(self, text: str) -> None:
        print_line(text, err=True)


class _SilentReporter:
    def progress(self, title: str, total: int | None = None, *, unit: str = "items") -> Entered:
        return nullcontext(_SilentProgress())

    def notice(self, text: str) -> None:
        pass


class _SilentProgress:
    total: int | None = None

    def advance(self, count: int = 1) -> None:
        pass


CONSOLE: Reporter = ConsoleReporter()
SILENT: Reporter = _SilentReporter()


class _ConsoleProgress:
    def __init__(self, title: str, total: int | None, unit: str, every_s: float) -> None:
        self.total, self._done = total, 0
        self._title, self._unit, self._every_s = title, unit, every_s
        self._started = self._printed = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def advance(self, count: int = 1) -> None:
        self._done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, total=self.total, rate=self._rate())
        elif time.monotonic() - self._printed >= self._every_s:
            self._print_line()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._draw_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._done:
            self._print_line()

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"{self._done / seconds:,.0f} {self._unit}/s"

    def _seconds_left(self) -> float:
        return (time.monotonic() - self._started) / self._done * ((self.total or self._done) - self._done)

    def _print_line(self) -> None:
        self._printed = time.monotonic()
        total = f" of {self.total:,}" if self.total else ""
        left = f", {self._seconds_left():.0f} s left" if self.total and 0 < self._done < self.total else ""
        print_line(f"{self._title}: {self._done:,}{total}, {self._rate()}{left}", err=True)

    def _draw_bar(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(visible(self._title), total=self.total, rate="")
        self._bar.start()
