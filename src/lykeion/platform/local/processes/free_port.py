"""Ports for programs that serve on this machine."""

import secrets
import socket
from collections.abc import Collection

from lykeion.core import Unavailable

PORTS = range(20_000, 30_000)
"""Below those that systems give to outgoing connections, which would otherwise take a chosen port now and then."""


class NoFreePort(Unavailable):
    """Every port is in use."""


def free_port(taken: Collection[int]) -> int:
    """A port on which nothing listens, and none of ``taken``, which may not be in use yet. Raises NoFreePort."""
    first = secrets.randbelow(len(PORTS))
    for port in (PORTS[(first + step) % len(PORTS)] for step in range(len(PORTS))):
        if port not in taken and _is_free(port):
            return port
    raise NoFreePort(f"no port from {PORTS.start} to {PORTS.stop - 1} is free; end programs that listen there")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what programs set; it ignores past connections
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
