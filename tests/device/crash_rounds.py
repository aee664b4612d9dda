"""A device's update killed at each of its changes of files, again and again.

    python -m tests.device.crash_rounds DIRECTORY ROUNDS [FIRST]

Each change is made by a process that is killed when it has made it. What is left must have a version that was
verified, if there was one before; a process that goes on from there is killed at a random change of its own, and the
next one must come to the last version. Rounds differ in these random changes, by the number of the round. Prints how
many kills there were.
"""

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lykeion.device.durable_files import Disk
from lykeion.device.slots.model_slots import ModelSlots

from .offers import Repository, model_bytes
from .updating import COMPANION, confirm, content_started, slots_on, take

MODELS = {model_bytes(version) for version in (1, 2, 3)}


def scenario(slots: ModelSlots, repository: Repository) -> None:
    """From wherever it was: version 1 confirmed, then 2, then 3 until it is confirmed too."""
    offers = [repository.publish(version, companion=COMPANION) for version in (1, 2, 3)]
    for offer in offers[(slots.state("shoes").running or _Nothing).offer.target.version - 1 :]:
        take(slots, repository, offer)
        if confirm(slots).running.offer.target.version != offer.target.version:  # type: ignore[union-attr]
            raise AssertionError


class _Nothing:
    class offer:
        class target:
            version = 1


class ChangingFiles(Disk):
    """Makes each change by ``change``. It syncs nothing: what a killed process has written stays."""

    def change(self, make: Callable[[], object]) -> None:
        make()

    def write(self, path: Path, data: bytes) -> None:
        self.change(lambda: Disk.write(self, path, data))

    def append(self, path: Path, data: bytes) -> None:
        self.change(lambda: Disk.append(self, path, data))

    def sync(self, path: Path) -> None:
        """Changes nothing that a killed process leaves."""

    def rename(self, source: Path, target: Path) -> None:
        self.change(lambda: Disk.rename(self, source, target))

    def remove(self, path: Path) -> None:
        self.change(lambda: Disk.remove(self, path))

    def make_directory(self, path: Path) -> None:
        if not path.is_dir():
            self.make_directory(path.parent)
            self.change(lambda: path.mkdir(mode=0o700))


class CountingFiles(ChangingFiles):
    def __init__(self) -> None:
        self.changes = 0

    def change(self, make: Callable[[], object]) -> None:
        self.changes += 1
        make()


class KillingFiles(ChangingFiles):
    """Kills its process before a change, after ``left`` others."""

    def __init__(self, left: int) -> None:
        self.left = left

    def change(self, make: Callable[[], object]) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        make()


class VictimFiles(ChangingFiles):
    """Each change is made by a fork of this process that is killed after it; then ``killed`` is called."""

    def __init__(self, killed: Callable[[], object]) -> None:
        self._killed = killed

    def change(self, make: Callable[[], object]) -> None:
        def work() -> None:
            make()
            os.kill(os.getpid(), signal.SIGKILL)

        assert was_killed(work)
        self._killed()


def was_killed(work: Callable[[], object]) -> bool:
    """Whether a fork that does it was killed; else it has come to the end. Raises AssertionError if it failed."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status), "it failed by itself"
    return status != 0


@dataclass
class KilledDevice:
    """``had`` whether some version could be run already; ``step`` looks at every so many kills only."""

    directory: Path
    dice: random.Random
    step: int = 1
    changes: int = 0
    kills: int = 0
    had: bool = False
    _left: int = field(default=0)

    def update(self) -> int:
        """How many kills there were. Raises AssertionError for a device that did not come through."""
        self.directory.mkdir(parents=True, exist_ok=True)
        counting = CountingFiles()
        scenario(slots_on(counting, self.directory / "counted"), Repository())
        self._left = counting.changes
        scenario(slots_on(VictimFiles(self._after_a_kill), self._home), Repository())
        assert self.changes == counting.changes
        return self.kills

    @property
    def _home(self) -> Path:
        return self.directory / "device"

    def _after_a_kill(self) -> None:
        self.changes, self.kills, self._left = self.changes + 1, self.kills + 1, self._left - 1
        self.had = check(self._home, self.had)
        if self.changes % self.step:
            return
        home = self.directory / "copy"
        shutil.copytree(self._home, home)
        at = self.dice.randrange(self._left + 1)
        if was_killed(lambda: scenario(slots_on(KillingFiles(at), home), Repository())):
            self.kills += 1
            check(home, self.had)
        scenario(slots_on(ChangingFiles(), home), Repository())
        assert content_started(slots_on(ChangingFiles(), home)) == model_bytes(3)
        shutil.rmtree(home)


def check(home: Path, had: bool) -> bool:
    """What may run is whole; and there is such a version, if there was one before. Returns whether there is."""
    slots = slots_on(ChangingFiles(), home)
    running = slots.state("shoes").running
    assert running or not had
    if running:
        assert slots.load(running.offer.target.file) in MODELS
        assert running.offer.target.companion
        assert slots.load(running.offer.target.companion.digest) == COMPANION
    return running is not None


def kill_at_every_change(directory: Path, step: int = 1, seed: int = 0) -> int:
    """How many kills there were."""
    return KilledDevice(directory, random.Random(seed), step).update()


def main() -> None:
    directory, rounds = Path(sys.argv[1]), int(sys.argv[2])
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    kills = sum(kill_at_every_change(directory / str(each), seed=each) for each in range(first, first + rounds))
    print(json.dumps({"update": kills}))


if __name__ == "__main__":
    main()
