"""``python -m lykeion.platform.local.proxy DIRECTORY``: the proxy of the platform in a directory, until SIGTERM."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

from lykeion.core import LykeionError

from .forwarder import Forwarder
from .listeners import Listener, listeners_of
from .proxy_server import ProxyServer
from .proxy_settings import ProxySettings, ProxySettingsError


def main(directory: Path) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        settings = ProxySettings.read(directory)
        if settings is None:
            raise ProxySettingsError(f"{directory} has no settings; lykeion up writes them")
        asyncio.run(_run(directory, listeners_of(settings)))
    except (OSError, LykeionError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the platform shows the last line of the log
        return 2
    return 0


async def _run(directory: Path, listeners: list[Listener]) -> None:
    server = ProxyServer(Forwarder(directory))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run(listeners)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
