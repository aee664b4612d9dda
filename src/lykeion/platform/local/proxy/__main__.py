"""``python -m lykeion.platform.local.proxy DIRECTORY``: the proxy of the platform in a directory, until SIGTERM."""

import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from lykeion.core import LykeionError
from lykeion.web_kit import read_token

from .forwarder import Forwarder, Listener
from .proxy_server import ProxyServer
from .proxy_settings import ProxySettings, ProxySettingsError, TlsListener


def main(directory: Path) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        settings = ProxySettings.read(directory)
        if settings is None:
            raise ProxySettingsError(f"{directory} has no settings; lykeion up writes them")
        listeners = [Listener("127.0.0.1", settings.port)]
        listeners += [_elsewhere(settings.elsewhere)] if settings.elsewhere else []
        asyncio.run(_run(directory, listeners))
    except (OSError, LykeionError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the platform shows the last line of the log
        return 2
    return 0


async def _run(directory: Path, listeners: list[Listener]) -> None:
    server = ProxyServer(Forwarder(directory))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run(listeners)


def _elsewhere(settings: TlsListener) -> Listener:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key)
    return Listener(settings.host, settings.port, read_token(Path(settings.token_file)), context)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
