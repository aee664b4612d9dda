"""One attempt at one index on disk: enough to find its process again, and how it ended, after any crash.

``attempt.json`` is written before the process starts, ``started`` and ``exit`` by the shim, ``stop.json`` before a
signal is sent, ``end.json`` when the end was noticed. ``log`` is the program's output. ``cgroup`` is a link to the
control group that limits the program's memory, if there is one.
"""

import json
import os
import signal
import subprocess
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from lykeion import images
from lykeion.core import Unavailable, json_value, write_atomically, writing

from .attempt import NEVER_STARTED, OOM_KILLED, RESULT_TOO_LARGE, Attempt
from .core_affinity import on_cores
from .launch import VARIABLES, Launch
from .machine_share import UNLIMITED, MachineShare
from .memory_cgroup import MemoryCgroup
from .output_log import trim_log
from .process_identity import ProcessIdentity, kill_marked

SHIM = Path(__file__).with_name("shim.sh")
MARK = "LYKEION_ATTEMPT"
LOG_TAIL_BYTES = 4096
MAX_RESULT = 4096
RECORDED = ("index", "number", "port", "restarts", "failures")
"""What ``attempt.json`` holds of an attempt, beside the time of its start and its share of the machine."""


class AttemptError(Unavailable):
    """An attempt cannot be recorded or read."""


@dataclass(frozen=True)
class AttemptDirectory:
    path: Path

    @classmethod
    def create(cls, parent: Path, attempt: Attempt) -> "AttemptDirectory":
        """Record that an attempt is about to start. Raises AttemptError."""
        made = cls(parent / attempt.name)
        record = {name: getattr(attempt, name) for name in RECORDED} | {"started": attempt.started.isoformat()}
        record["share"] = msgspec.to_builtins(attempt.share)
        with writing(made.path, AttemptError):
            made.path.mkdir(parents=True, mode=0o700, exist_ok=True)
            made._write("attempt", record)
            made.result.touch(mode=0o600)  # so that it can be mounted into an image
        return made

    def start(self, launch: Launch, share: MachineShare = UNLIMITED) -> subprocess.Popen[bytes]:
        """Start the program in its own session. Raises AttemptError, which says what is wrong."""
        own = {**share.environment(), MARK: str(self.path)}
        try:
            if launch.shard is not None:
                self.shard.write_text(launch.shard)
            with self.log.open("ab") as log, on_cores(share.cores), _passed(launch, own) as descriptors:
                argv = [str(descriptors[0]) if word == VARIABLES else word for word in launch.argv]
                return subprocess.Popen(
                    ["/bin/sh", SHIM, self.path, *argv],
                    env={**launch.environment, **own},
                    cwd=launch.working_directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=descriptors,
                )
        except (OSError, ValueError) as refused:
            place = getattr(refused, "filename", None) or launch.argv[0]
            raise AttemptError(f"cannot start: {place}: {getattr(refused, 'strerror', None) or refused}") from None

    @property
    def log(self) -> Path:
        return self.path / "log"

    def attempt(self) -> Attempt | None:
        """The recorded attempt; None if its record was not finished."""
        begun, stop, end = self._read("attempt"), self._read("stop") or {}, self._read("end") or {}
        if not begun:
            return None
        return Attempt(
            started=datetime.fromisoformat(begun["started"]),
            ended=datetime.fromisoformat(end["at"]) if end else None,
            exit_code=end.get("exit_code"),
            reason=end.get("reason", ""),
            message=end.get("message", ""),
            result=end.get("result", ""),
            stopping=stop.get("reason", ""),
            share=msgspec.convert(begun.get("share", {}), MachineShare),
            **{name: int(begun.get(name, 0)) for name in RECORDED},
        )

    def identity(self) -> ProcessIdentity | None:
        return ProcessIdentity.parse(self._text("started"))

    def abandon(self) -> bool:
        """Claim an attempt that no process has claimed: True if none has started it; none can start it afterwards.

        Raises AttemptError.
        """
        try:
            with writing(self.path, AttemptError), (self.path / "started").open("x"):
                return True
        except AttemptError:
            if (self.path / "started").exists():
                return False
            raise

    def stop(self, reason: str, now: datetime, grace_s: float, child: int | None = None) -> datetime:
        """Send SIGTERM to the group at the first call, SIGKILL at one after the grace period. Returns when that ends.

        Without a grace period SIGKILL is sent at once.
        ``reason`` is recorded first. ``child`` is the leader's process ID if it is a child of this process.
        """
        stop = self._read("stop")
        latest = now + timedelta(seconds=grace_s)
        until = min(datetime.fromisoformat(stop["until"]), latest) if stop else latest
        if not stop or until == latest:  # the first call, a shorter period, or a clock that was set back
            with writing(self.path, AttemptError):
                self._write("stop", {"reason": reason, "until": until.isoformat()})
        if not stop or now >= until:
            number = signal.SIGKILL if now >= until else signal.SIGTERM
            identity = self.identity()
            if child is not None:
                with suppress(ProcessLookupError):
                    os.killpg(child, number)
            elif identity:
                identity.signal_group(number)
        return until

    def record_end(self, now: datetime, returned: int | None = None, message: str = "") -> None:
        """Record how it ended. ``returned`` is its exit code, if known; ``message``, why it could not start."""
        text = self._text("exit").strip()
        code = int(text) if text.isdigit() else returned
        reason = str((self._read("stop") or {}).get("reason", ""))
        if message:
            reason = "CannotStart"
        elif self.identity() is None and code is None:
            reason = NEVER_STARTED
        elif code != 0 and self.cgroup.ran_out():
            reason = OOM_KILLED
        elif code is None:
            reason = reason or "Lost"
        message, result = message or self.last_line(), self._result() if code == 0 else ""
        if len(result) > MAX_RESULT:
            reason, message, result = RESULT_TOO_LARGE, f"the result has more than {MAX_RESULT} characters", ""
        end = {
            "at": self._ended_at(now).isoformat(),
            "exit_code": code,
            "reason": reason,
            "message": message,
            "result": result,
        }
        with writing(self.path, AttemptError):
            self._write("end", end)
        self.cgroup.remove()
        trim_log(self.log)

    def _ended_at(self, now: datetime) -> datetime:
        """When its exit code was recorded, which may be long before somebody looked."""
        with suppress(OSError):
            return min(now, datetime.fromtimestamp((self.path / "exit").stat().st_mtime, UTC))
        return now

    def limit_memory(self, parent: Path, limit_bytes: int) -> None:
        """Have the program join a control group of its own below ``parent``. Raises AttemptError."""
        with writing(self.path, AttemptError):
            made = MemoryCgroup.create(parent / f"{self.path.parent.name}-{self.path.name}", limit_bytes)
            self.cgroup.path.symlink_to(made.path)

    @property
    def cgroup(self) -> MemoryCgroup:
        """That of the program, if it has one."""
        return MemoryCgroup(self.path / "cgroup")

    @property
    def result(self) -> Path:
        """Where the program may write a result."""
        return self.path / "result"

    @property
    def shard(self) -> Path:
        """The file that tells the program its shard."""
        return self.path / "shard"

    def _result(self) -> str:
        """Read without following a link or waiting for the writer of a pipe: the program is not trusted."""
        with suppress(OSError), open(self.result, "rb", opener=_open_plain) as file:
            return file.read(4 * MAX_RESULT + 1).decode(errors="replace")
        return ""

    def last_line(self) -> str:
        """The last line of the log, at most 400 characters."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
            return next((line.strip()[-400:] for line in reversed(lines) if line.strip()), "")
        return ""

    def _write(self, name: str, value: dict[str, Any]) -> None:
        write_atomically(self.path / f"{name}.json", json.dumps(value).encode())

    def _read(self, name: str) -> dict[str, Any] | None:
        text = self._text(f"{name}.json")
        return json_value(text, AttemptError, "attempt", where=f"{self.path}: ") if text else None

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except OSError:
            return ""


@contextmanager
def _passed(launch: Launch, own: Mapping[str, str]) -> Generator[tuple[int, ...]]:
    """The descriptor with the variables of a program in an image."""
    if launch.in_image is None:
        yield ()
        return
    descriptor = images.variables_file({**launch.in_image, **own})
    try:
        yield (descriptor,)
    finally:
        os.close(descriptor)


def kill_rest(ended: Collection[AttemptDirectory]) -> None:
    """Kill the processes that the programs of ended attempts have left running."""
    for each in ended:
        each.cgroup.kill()
    if ended:
        kill_marked(MARK, [str(each.path) for each in ended])


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
