"""``lykeion up``, ``down``, ``backup`` and ``restore``: this machine as the platform."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from lykeion import platform
from lykeion.core import print_line

from .composed_kinds import KINDS
from .platform_options import of_this_machine

START_LIMIT_S = 60.0
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Go on in the background; what it logs is in the data directory.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Of the proxy on this machine; it is kept.  [default: that of the last time; at first a free one]",
)
@click.option("--listen", metavar="HOST:PORT", help="The proxy's address for other machines, with TLS and a token.")
@click.option("--tls-certificate", type=FILE, help="Of HOST, as PEM, with those that signed it.")
@click.option("--tls-key", type=FILE, help="The certificate's key, as PEM.")
@click.option("--token-file", type=FILE, help="The API token that other machines send, of at least 16 characters.")
def up(
    detach: bool,
    port: int | None,
    listen: str | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
) -> None:
    """Run this machine as the platform, until Ctrl-C or `lykeion down`.

    Then the programs that it runs are ended, too, and started again by the next `lykeion up`. Programs outlive a
    platform that is killed; the next one finds them.
    """
    of_this_machine("up")
    directory = platform.platform_directory()
    elsewhere = _elsewhere(listen, tls_certificate, tls_key, token_file)
    if detach:
        _start_detached(directory, port, elsewhere)
        return
    machine = platform.this_machine()
    made = platform.LocalPlatform(directory, KINDS, platform.CONTROLLERS, machine, port, elsewhere)
    asyncio.run(made.run(lambda path: print_line(f"the platform runs; it listens on {path}", err=True)))


def _elsewhere(
    listen: str | None, certificate: Path | None, key: Path | None, token_file: Path | None
) -> "platform.TlsListener | None":
    if listen is None and not (certificate or key or token_file):
        return None
    if not (listen and certificate and key and token_file):
        raise click.UsageError(
            "--listen, --tls-certificate, --tls-key and --token-file go together: give all or none"
        )
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--listen is {listen[:60]!r}; write HOST:PORT")
    files = (str(each.resolve()) for each in (certificate, key, token_file))
    return platform.TlsListener(host.strip("[]"), int(port), *files)


@click.command()
def down() -> None:
    """End the platform on this machine and the programs that it runs. Resources stay as they are."""
    of_this_machine("down")
    if not asyncio.run(platform.end_platform(platform.platform_directory(), KINDS)):
        print_line("the platform does not run", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--logs", is_flag=True, help="With what programs have printed.")
def backup(file: Path, logs: bool) -> None:
    """Write the platform's resources and the records of what has run to FILE; the platform may run.

    FILE holds secrets: only you can read it. Volumes are not in it.
    """
    of_this_machine("backup")
    platform.back_up(platform.platform_directory(), file, logs=logs)
    print_line(f"{file}: {file.stat().st_size:,} bytes")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Move a state that exists aside.")
def restore_state(file: Path, force: bool) -> None:
    """Make the platform what it was at a backup; it must not run.

    Programs that ran at the time of the backup are attempts that were lost.
    """
    of_this_machine("restore")
    aside = platform.restore(platform.platform_directory(), file, KINDS, force=force)
    print_line(f"restored; what was there is in {aside}" if aside else "restored")


def _start_detached(directory: Path, port: int | None, elsewhere: "platform.TlsListener | None") -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = directory / "platform.log"
    options = [] if port is None else ["--port", str(port)]
    if elsewhere:
        options += ["--listen", f"{elsewhere.host}:{elsewhere.port}", "--tls-certificate", elsewhere.certificate]
        options += ["--tls-key", elsewhere.key, "--token-file", elsewhere.token_file]
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
    while not asyncio.run(platform.is_up(directory, KINDS)):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").splitlines() or ["no message"]
            raise platform.PlatformError(f"the platform did not start: {lines[-1].removeprefix('error: ')}")
        time.sleep(0.05)
    print_line(f"the platform runs as process {process.pid}; it logs to {log}", err=True)
