"""``lykeion up`` and ``lykeion down``: this machine as the platform."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from lykeion import platform
from lykeion.core import print_line

START_LIMIT_S = 60.0


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Go on in the background; what it logs is in the data directory.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Of the proxy on this machine; it is kept.  [default: that of the last time; at first a free one]",
)
def up(detach: bool, port: int | None) -> None:
    """Run this machine as the platform, until Ctrl-C or `lykeion down`.

    Then the programs that it runs are ended, too, and started again by the next `lykeion up`. Programs outlive a
    platform that is killed; the next one finds them.
    """
    directory = platform.platform_directory()
    if detach:
        _start_detached(directory, port)
        return
    made = platform.LocalPlatform(directory, platform.KINDS, platform.CONTROLLERS, platform.this_machine(), port)
    asyncio.run(made.run(lambda path: print_line(f"the platform runs; it listens on {path}", err=True)))


@click.command()
def down() -> None:
    """End the platform on this machine and the programs that it runs. Resources stay as they are."""
    if not asyncio.run(platform.end_platform(platform.platform_directory(), platform.KINDS)):
        print_line("the platform does not run", err=True)


def _start_detached(directory: Path, port: int | None) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = directory / "platform.log"
    options = [] if port is None else ["--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from lykeion.cli import main; main()", "up", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ,
        )
    deadline = time.monotonic() + START_LIMIT_S
    while not asyncio.run(platform.is_up(directory, platform.KINDS)):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").splitlines() or ["no message"]
            raise platform.PlatformError(f"the platform did not start: {lines[-1].removeprefix('error: ')}")
        time.sleep(0.05)
    print_line(f"the platform runs as process {process.pid}; it logs to {log}", err=True)
