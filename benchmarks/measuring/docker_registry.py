"""Debian's docker-registry as a process of its own, on a free port, with its files in a directory."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = shutil.which("docker-registry")

_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "{address}:{port}"{tls}}}
{auth}"""


@contextmanager
def docker_registry(
    directory: Path, *, address: str = "127.0.0.1", tls: tuple[Path, Path] | None = None, users: str = ""
) -> Iterator[str]:
    """Yields its host, a name and a port. ``tls`` is a certificate and its key; without, it speaks plain HTTP.

    ``users`` are lines as of htpasswd(1), with bcrypt; without, it lets in everybody.
    """
    assert PROGRAM is not None
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    config = directory / "config.yml"
    keys = f', tls: {{certificate: "{tls[0]}", key: "{tls[1]}"}}' if tls else ""
    (directory / "users").write_text(users)
    auth = f'auth: {{htpasswd: {{realm: tests, path: "{directory / "users"}"}}}}\n' if users else ""
    config.write_text(_CONFIG.format(root=directory / "data", address=address, port=port, tls=keys, auth=auth))
    log = directory / "log"
    with (
        log.open("wb") as said,
        subprocess.Popen([PROGRAM, "serve", str(config)], stderr=said, stdout=said) as process,
    ):
        try:
            _wait(process, (address, port), log)
            yield f"{address}:{port}"
        finally:
            process.terminate()


def _wait(process: "subprocess.Popen[bytes]", server: tuple[str, int], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(server, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("docker-registry does not listen")
