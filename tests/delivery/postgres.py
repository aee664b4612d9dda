"""A PostgreSQL server of Debian, for tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@contextmanager
def postgres() -> Iterator["Postgres"]:
    if BIN is None or os.geteuid() != 0:
        pytest.skip("needs Debian's postgresql, and root")
    pytest.importorskip("psycopg")
    directory = Path(tempfile.mkdtemp(prefix="lykeion-postgres-"))
    shutil.chown(directory, "postgres", "postgres")
    made = Postgres(directory)
    try:
        made.run("initdb", "-D", str(directory / "data"), "-A", "trust", "-U", "postgres")
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


class Postgres:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]

    def run(self, program: str, *arguments: str) -> None:
        assert BIN
        command = ["runuser", "-u", "postgres", "--", str(BIN / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.directory, timeout=120)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.directory} -h 127.0.0.1 -c shared_buffers=16MB"
        log = str(self.directory / "log")
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        if (self.directory / "data" / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "-w", "stop")

    def base(self, name: str) -> str:
        """The address of a new database."""
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
