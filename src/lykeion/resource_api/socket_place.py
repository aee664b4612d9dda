"""Where a server's socket is: cheap to import, since most commands need no more."""

import hashlib
import os
from pathlib import Path

from lykeion.core import Unavailable

MAX_SOCKET_BYTES = 100
"""Limit of a socket's path: Linux allows 107, macOS 103."""


class SocketError(Unavailable):
    """A socket that cannot be listened on."""


def socket_of(directory: Path) -> Path:
    """The socket of the server whose files are in a directory. Raises SocketError if no path is short enough."""
    name = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:16]
    places = [directory.absolute() / "api.sock"]
    places += [Path(runtime) / f"lykeion-{name}.sock" for runtime in [os.environ.get("XDG_RUNTIME_DIR")] if runtime]
    for place in places:
        if len(os.fsencode(place)) < MAX_SOCKET_BYTES:
            return place
    raise SocketError(f"{places[0]} is too long for a socket: set LYKEION_HOME to a shorter path, or XDG_RUNTIME_DIR")
