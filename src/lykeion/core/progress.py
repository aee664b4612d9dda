"""Progress of long work, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

from .terminal import print_line, visible


class Progress:
    """Counts work done and shows count, rate and time left.

    ``total`` may be unknown (None) and may be set later. On a terminal it draws a bar (rich); in a log it prints
    one line every ``every`` seconds; with ``quiet`` it prints nothing.
    """

    def __init__(
        self,
        title: str,
        total: int | None = None,
        *,
        unit: str = "items",
        quiet: bool = False,
        every: float = 10.0,
    ) -> None:
        self.title, self.total, self.unit, self.done = visible(title), total, unit, 0
        self._quiet, self._every = quiet, every
        self._started = self._printed = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        if not quiet and sys.stderr.isatty():
            self._draw_bar()

    def advance(self, count: int = 1) -> None:
        self.done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=self.total, rate=self._rate())
        elif not self._quiet and time.monotonic() - self._printed >= self._every:
            self._print_line()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self._quiet and self.done:
            self._print_line()

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"{self.done / seconds:,.0f} {self.unit}/s"

    def _seconds_left(self) -> float:
        return (time.monotonic() - self._started) / self.done * ((self.total or self.done) - self.done)

    def _print_line(self) -> None:
        self._printed = time.monotonic()
        total = f" of {self.total:,}" if self.total else ""
        left = f", {self._seconds_left():.0f} s left" if self.total and 0 < self.done < self.total else ""
        print_line(f"{self.title}: {self.done:,}{total}, {self._rate()}{left}", err=True)

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
        self._task = self._bar.add_task(self.title, total=self.total, rate="")
        self._bar.start()
