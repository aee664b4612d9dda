"""A real HTTP server over a repository's public folder, and the unmodified client of python-tuf that reads it."""

import functools
import http.server
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from tuf.ngclient import Updater


class StaticHost:
    def __init__(self, public: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(public))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.public = public

    def __enter__(self) -> "StaticHost":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self, directory: Path, root: bytes | None = None) -> Updater:
        """A device's client; ``root`` is what it was built with, by default the first version."""
        (directory / "targets").mkdir(parents=True, exist_ok=True)
        return Updater(
            str(directory),
            f"{self.url}/metadata/",
            str(directory / "targets"),
            f"{self.url}/targets/",
            bootstrap=root or (self.public / "metadata" / "1.root.json").read_bytes(),
        )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
