"""One container of a pod: its processes one after another, their logs, and the status that the node writes."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import enter_container
from .node_images import NodeImage
from .pod_status import is_sidecar

Object = dict[str, Any]
MESSAGE_BYTES, LOG_BYTES, LOG_LINES = 4096, 2048, 80  # pkg/kubelet/container/runtime.go


@dataclass(frozen=True)
class Mount:
    source: str
    target: str
    readOnly: bool


@dataclass(frozen=True)
class Start:
    """What ``enter_container`` reads. ``network`` is a process in the pod's network namespace."""

    command: Sequence[str]
    environment: Mapping[str, str]
    root: str
    log: str
    scratch: str
    hostname: str
    network: int | None
    uid: int
    gid: int
    groups: Sequence[int]
    directory: str
    mounts: Sequence[Mount]
    bind: Sequence[str] = ()
    open: Sequence[str] = ()
    readOnlyRoot: bool = False


class Container:
    """``changed`` is called after each change of ``status``."""

    def __init__(self, spec: Object, folder: Path, *, init: bool, changed: Callable[[], None]) -> None:
        self.spec, self.folder, self.changed = spec, folder, changed
        self.name: str = spec["name"]
        self.init, self.sidecar = init, init and is_sidecar(spec)
        self.restarts = -1
        self.state: Object = {}
        self.last: Object = {}
        self.ready = False
        self.started = False
        self.has_started = asyncio.Event()  # at least once
        self.image: NodeImage | None = None
        self.pid: int | None = None
        self.exited: asyncio.Future[int] | None = None
        self.reason_of_end = ""
        self._starting: asyncio.Task[None] | None = None
        self.environment: Mapping[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def status(self) -> Object:
        digest = f"{self.spec['image'].partition('@')[0]}@{self.image.digest}" if self.image else ""
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": digest,
            "containerID": self.id,
            "restartCount": max(0, self.restarts),
            "ready": self.ready,
            "started": self.started,
            "state": self.state,
            "lastState": self.last,
        }  # fmt: skip

    @property
    def id(self) -> str:
        return f"process://{self.folder.parent.name}/{self.name}/{self.restarts}" if self.restarts >= 0 else ""

    @property
    def runs(self) -> bool:
        return self.exited is not None and not self.exited.done()

    def log_path(self, *, previous: bool = False) -> Path:
        return self.folder / f"{self.restarts - previous}.log"

    def wait(self, reason: str, message: str = "") -> None:
        """It is not running, and why."""
        if "terminated" in self.state:
            self.last = self.state
        waiting = {"reason": reason, **({"message": message} if message else {})}
        if self.state != {"waiting": waiting}:
            self.state = {"waiting": waiting}
            self.ready = False
            self.started = False
            self.changed()

    def begin_attempt(self) -> tuple[Path, Path]:
        """Paths of the log and of the termination message of the next process."""
        message = self.folder / f"{self.restarts + 1}.message"
        message.touch()
        message.chmod(0o666)
        return self.folder / f"{self.restarts + 1}.log", message

    def remember(self, status: Object) -> None:
        """What the server knows of it, from a process of this node that has ended: what ran then is lost."""
        self.restarts = status["restartCount"]
        self.state = status.get("state", {})
        self.last = status.get("lastState", {})
        if "running" in self.state:
            self.lose()

    def lose(self) -> None:
        """Nobody knows how it ended, or it never began."""
        message = "The container could not be located when the pod was terminated"
        ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}
        self.state = {"terminated": {"startedAt": None, "finishedAt": None, **ended}}

    async def start(self, start: Start) -> None:
        """Start the process of this attempt; its end is in ``exited``, and has then been put into ``state``.

        Who is cancelled meanwhile leaves a process that is stopped later.
        """
        self._starting = asyncio.create_task(self._start(start))
        await asyncio.shield(self._starting)

    async def settle(self) -> None:
        """Until no start is under way."""
        if self._starting:
            await asyncio.wait({self._starting})

    async def _start(self, start: Start) -> None:
        path = self.folder / "start.json"
        Path(start.scratch).mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(start)))
        self.environment = start.environment
        command = [sys.executable, "-I", "-S", enter_container.__file__, str(path)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stdin=asyncio.subprocess.DEVNULL)
        assert process.stdout
        self.exited = asyncio.get_running_loop().create_future()
        first = json.loads(await process.stdout.readline() or b'{"error": "it was killed"}')
        began = now()
        self.restarts += 1
        if "pid" in first:
            self.pid = first["pid"]
            if "terminated" in self.state:
                self.last = self.state
            self.reason_of_end = ""
            self.state = {"running": {"startedAt": began}}
            self.changed()
        self._reaper = asyncio.create_task(self._reap(process, began, first.get("error", "")))

    async def _reap(self, process: asyncio.subprocess.Process, began: str, error: str) -> None:
        assert process.stdout
        assert self.exited
        report = json.loads(await process.stdout.readline() or b'{"exit": 137, "signal": 9}')
        await process.wait()
        self.pid = None
        code = 128 if error else 128 + report["signal"] if report["signal"] else report["exit"]
        reason = "StartError" if error else self.reason_of_end or ("Completed" if code == 0 else "Error")
        message = error or self._message(code)
        if "running" not in self.state and "terminated" in self.state:
            self.last = self.state
        ended: Object = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}
        if message:
            ended["message"] = message
        self.state = {"terminated": ended | {"containerID": self.id}}
        self.ready = self.init and not self.sidecar and code == 0
        self.started = False
        self.exited.set_result(code)
        self.changed()

    def _message(self, code: int) -> str:
        path = self.folder / f"{self.restarts}.message"
        text = path.read_bytes()[:MESSAGE_BYTES].decode(errors="replace") if path.exists() else ""
        if not text and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = self.log_path().read_bytes()[-LOG_BYTES:].decode(errors="replace").splitlines(keepends=True)
            return "".join(lines[-LOG_LINES:])
        return text

    def set_started(self) -> None:
        self.started = True
        self.has_started.set()

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def execute(self, command: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a command inside, as the same user; its code and what it said. 124 when it took too long."""
        if not self.pid:
            return 137, "the container does not run"
        user = Path(f"/proc/{self.pid}").stat()
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--ipc", "--root"]
        enter += [f"--setuid={user.st_uid}", f"--setgid={user.st_gid}", "--"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *enter, *command, env=dict(self.environment), stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            return 124, "timed out"
        return process.returncode or 0, said.decode(errors="replace")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
