"""A platform of its own in a directory, as a process, and the commands that a person types at it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMMAND = [sys.executable, "-c", "from lykeion.cli import main; main()"]


@dataclass
class PlatformMachine:
    """``home`` should have a short path: the platform's socket lies in it. ``place`` is where programs run."""

    home: Path
    place: Path
    namespace: str = "default"
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LYKEION_HOME": str(self.home), "LYKEION_NAMESPACE": self.namespace, "COLUMNS": "200"}

    def run(self, *arguments: str, code: int = 0, text: str | None = None) -> str:
        """What a command prints, errors if it ends with one; its exit code must be ``code``."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, input=text
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if code in (0, 3) else done.stderr

    def start(self, *arguments: str) -> None:
        command = [*COMMAND, "up", *arguments]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, cwd=self.home)
        assert self.process.stderr
        line = self.process.stderr.readline()
        assert b"the platform runs" in line, line + self.process.stderr.read()

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def apply(self, **spec: Any) -> None:
        name = spec.pop("name", "embed")
        spec["program"] = {"workingDir": str(self.place), **spec["program"]}
        document = {
            "apiVersion": "lykeion.github.io/v1alpha1",
            "kind": "BatchExecution",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.run("apply", "-f", "-", text=yaml.safe_dump(document))

    def get(self, name: str = "batch/embed") -> dict[str, Any]:
        return json.loads(self.run("get", name, "-o", "json"))

    def condition(self, type_: str, name: str = "batch/embed") -> dict[str, Any]:
        conditions = self.get(name)["status"].get("conditions", [])
        return next((each for each in conditions if each["type"] == type_), {"status": "absent"})


@contextmanager
def platform_machine(home: Path) -> Generator[PlatformMachine]:
    home.mkdir()
    machine = PlatformMachine(home, home)
    try:
        yield machine
    finally:
        if machine.process and machine.process.poll() is None:
            machine.stop()


def until(holds: Callable[[], object], what: str = "it did not happen", *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def shell(script: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", script]}
