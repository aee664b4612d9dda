"""A device server with two published versions of a model, and devices that call it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lykeion.control import Key
from lykeion.delivery.device_service import connect_rollouts
from tests.delivery.fleet import Fleet


@dataclass
class Caller:
    """A device that runs what it is told, unless it is ``stuck``. ``crashes`` are the versions that crash on it."""

    url: str
    crashes: frozenset[int] = frozenset()
    running: int = 0
    events: int = 0
    token: str = ""
    device: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    stuck: bool = False
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    def enrol(self, token: str, **attributes: Any) -> None:
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        made = self._post("enrol", {"token": token, "public_key": key, "attributes": attributes})
        self.token, self.device, self.attributes = made["token"], made["device"], attributes

    def call(self) -> dict[str, Any]:
        """Report, and take what is to run."""
        models = {"shoes": {"running": self.running, "file": "", "step": "idle", "failed": 0, "cause": ""}}
        state = {
            "software": "1",
            "runtime": "2.1.0",
            "attributes": self.attributes,
            "models": models if self.running else {},
        }
        desired = self._post("state", state)
        if not self.stuck and (target := desired["targets"].get("shoes")):
            self.running = int(target.split("/")[1][1:])
        if self.running in self.crashes:
            self.events += 1
            event = {
                "id": self.events,
                "kind": "health",
                "name": "crash",
                "at": time.time(),
                "fields": {"model": "shoes"},
            }
            self._post("events", {"events": [event], "dropped": {}})
        return desired

    def _post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        while True:
            answer = self.http.post(f"{self.url}/v1/device/{call}", json=body, headers=headers)
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers["Retry-After"]) / 10)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}


@dataclass
class FleetMachine:
    home: Path
    url: str

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-c", "from lykeion.cli import main; main()", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def rollout(self, name: str) -> dict[str, Any]:
        """Its status."""

        async def ask() -> dict[str, Any]:
            async with connect_rollouts(self.home / "home" / "fleet") as store:
                return (await store.get(Key("Rollout", "default", name))).document().get("status", {})

        return asyncio.run(ask())


@contextmanager
def fleet_machine(path: Path, versions: int = 2, options: Sequence[str] = ()) -> Iterator[FleetMachine]:
    """With so many published versions of shoes; ``options`` are of the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_HOME", str(path / "home"))
        fleet = Fleet(path)
        fleet.init()
        for seed in range(1, versions + 1):
            fleet.publish(seed, keep=versions)
        command = [sys.executable, "-c", "from lykeion.cli import main; main()"]
        arguments = ["delivery", "serve", "--repository", str(fleet.home), "--port", "0", "--per-client", "1000"]
        process = subprocess.Popen(
            [*command, *arguments, *options], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert process.stdout
        line = process.stdout.readline()
        try:
            yield FleetMachine(path, line.rsplit(" ", 1)[-1].strip())
        finally:
            process.terminate()
            assert process.wait(60) == 0


def calling(callers: list[Caller], done: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """All devices call again and again, until something is so."""
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        while not done():
            assert time.monotonic() < deadline, what
            list(pool.map(lambda each: each.call(), callers))
