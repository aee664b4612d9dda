"""``lykeion serve`` as a process of its own, on a free port."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-c", "from lykeion.cli import main; main()")


@contextmanager
def serving(what: Path, *options: str, kind: str = "--index") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its URL once it accepts connections; ended with the context, if it runs then."""
    command = [*COMMAND, "serve", kind, str(what), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            while line.startswith("pulling"):
                line = process.stderr.readline()
            assert line.startswith("Serving"), line + process.stderr.read()
            yield process, line.split()[-1]
        finally:
            process.terminate()
