"""The commands that a person would type, run in this process; and servers, as processes of their own."""

import contextlib
import io
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lykeion.cli import app
from lykeion.core import Unavailable

PROGRAM = (sys.executable, "-c", "from lykeion.cli import main; main()")


class ServerFailed(Unavailable):
    """A server did not begin."""


def keep_apart(home: Path) -> None:
    """Nothing of the user's own home is read or written from now on."""
    for name in [name for name in os.environ if name.startswith("LYKEION_")]:
        del os.environ[name]
    os.environ |= {"LYKEION_HOME": str(home.resolve()), "COLUMNS": "118"}


def lykeion(*words: str | Path, quiet: bool = False) -> str:
    """What a command prints; the command itself is printed before, if it is not ``quiet``. Raises LykeionError."""
    if not quiet:
        say(f"$ lykeion {shlex.join(map(str, words))}")
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(printed):
        app.main([*map(str, words)], standalone_mode=False)
    printed.seek(0)
    return printed.read().strip()


@contextmanager
def serving(*words: str | Path) -> Generator[str]:
    """The address of a server, which is the last word of the first line that it prints. Raises ServerFailed."""
    say(f"$ lykeion {shlex.join(map(str, words))} &")
    command = [*PROGRAM, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline().strip()
            if "http://" not in line:
                raise ServerFailed(f"lykeion {words[0]}: {line or 'it ended at once'}")
            yield line.split()[-1]
        finally:
            process.terminate()


@contextmanager
def stage(name: str) -> Generator[None]:
    """Says how long it took."""
    begun = time.monotonic()
    yield
    say(f"== {name}: {time.monotonic() - begun:.1f} s")


def say(line: str) -> None:
    print(line, flush=True)
