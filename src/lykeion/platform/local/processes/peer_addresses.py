"""Where programs on this machine listen: addresses of a distributed program's processes, and ports of replicas."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

from lykeion.core import json_value, write_atomically, writing

from .attempt_directory import AttemptError


def peer_addresses(directory: Path, number: int, count: int) -> tuple[str, ...]:
    """Of the processes of the attempt with this number: those in its record, or free ports. Raises AttemptError."""
    path = directory / f"peers-{number}.json"
    with writing(path, AttemptError):
        if path.exists():
            return tuple(json_value(path.read_text(), AttemptError, "addresses", where=f"{path}: ")["addresses"])
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        addresses = tuple(f"127.0.0.1:{port}" for port in _free_ports(count))
        write_atomically(path, json.dumps({"addresses": addresses}).encode())
    return addresses


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
