"""What a device has done, as lines of text that its fleet's operator may ask for: bounded, without personal data.

Lines are cleaned before they are written: neither vectors, data and credentials, nor addresses, numbers that may be
of a person, paths and names of photos are ever in the file.
"""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lykeion.device.fleet.device_messages import MAX_LOG_LINE, MAX_LOG_LINES

MAX_LOG_BYTES = 256 << 10
"""Of the file; half of it is kept when it is full."""
MAX_ANSWER_BYTES = 128 << 10

_CLEANED = (
    (re.compile(r"(https?)://[^\s/?#@]*@?([^\s/?#:]*)\S*", re.IGNORECASE), r"\1://\2"),
    (re.compile(r"\S{1,100}@\S+"), "[mail]"),
    (
        re.compile(r"[^\s/\\]{1,200}\.(?:jpe?g|png|gif|webp|heic|heif|tiff?|bmp|y4m|mp4|mov)\b", re.IGNORECASE),
        "[photo]",
    ),
    (re.compile(r"(?<![\w:/])(?:~|\.{1,2})?(?:[/\\][^\s/\\:'\"]+)+"), "[path]"),
    (re.compile(r"[\[(]? ?[-+]?\d[\d.eE+-]*(?: ?[,; ] ?[-+]?\d[\d.eE+-]*){3,} ?[\])]?"), "[numbers]"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE), "[address]"),
    (re.compile(r"[A-Za-z0-9+/_=-]{32,}"), "[data]"),
    (re.compile(r"-?\d{1,3}\.\d{4,}"), "[number]"),
    (re.compile(r"\+?\d[\d ()/-]{6,}\d"), "[number]"),
)
"""What may be of a person, and what takes its place; the first that matches decides."""


class DeviceLog:
    """At ``path``. Safe among threads. What cannot be written is left out: a log ends no app."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock, self._turn = path, clock, threading.Lock()

    def add(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        with self._turn:
            try:
                self._shorten()
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{at} {cleaned(text)}\n")
            except OSError:
                return

    def last(self, lines: int) -> tuple[str, ...]:
        """The last lines, so many at most, within the bounds of an answer."""
        with self._turn:
            found = self._read()[-min(lines, MAX_LOG_LINES) :]
        size, kept = 0, list[str]()
        for each in reversed(found):
            line = each[:MAX_LOG_LINE]
            if (size := size + len(line.encode()) + 1) > MAX_ANSWER_BYTES:
                break
            kept.insert(0, line)
        return tuple(kept)

    def _shorten(self) -> None:
        if self._path.exists() and self._path.stat().st_size > MAX_LOG_BYTES:
            lines = self._read()
            self._path.write_text("".join(f"{each}\n" for each in lines[len(lines) // 2 :]), encoding="utf-8")

    def _read(self) -> list[str]:
        try:
            return [each for each in self._path.read_text("utf-8", errors="replace").split("\n") if each]
        except OSError:
            return []


def cleaned(text: str) -> str:
    """One line without what may be of a person; with its time, no longer than an answer's lines may be."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * MAX_LOG_LINE])
    line = " ".join(line.split())
    for pattern, instead in _CLEANED:
        line = pattern.sub(instead, line)
    return line[: MAX_LOG_LINE - 32]
