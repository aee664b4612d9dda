"""A device's update killed at each of its changes of files, again and again.

    python -m tests.device.crash_rounds DIRECTORY ROUNDS

Each time the device must have a version that was verified, if it had one, and must then go on to the last version.
Prints how many kills there were.
"""

import json
import os
import signal
import sys
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


class KillingFiles(Disk):
    """Kills its process before the n-th change. It syncs nothing: what a killed process has written stays."""

    def __init__(self, at: int = 1 << 60) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, path: Path, data: bytes) -> None:
        self._count()
        super().write(path, data)

    def append(self, path: Path, data: bytes) -> None:
        self._count()
        super().append(path, data)

    def sync(self, path: Path) -> None:
        self._count()

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)


def kill_at_every_change(directory: Path, step: int = 1) -> int:
    """How many kills there were; at every ``step``-th change, and at a second one in what is left. Raises
    AssertionError for a device that did not come through."""
    killed = 0
    for at in range(0, 10_000, step):
        home, ended = directory / str(at), False
        for again in range(2):
            if (child := os.fork()) == 0:
                scenario(slots_on(KillingFiles(at // (again + 1)), home), Repository())
                os._exit(0)
            if ended := os.waitpid(child, 0)[1] == 0:
                break
            killed += 1
            check(home)
        scenario(slots_on(KillingFiles(), home), Repository())
        assert content_started(slots_on(KillingFiles(), home)) == model_bytes(3)
        if ended and not again:
            break
    return killed


def check(home: Path) -> None:
    """What may run is whole."""
    slots = slots_on(KillingFiles(), home)
    if running := slots.state("shoes").running:
        assert slots.load(running.offer.target.file) in MODELS
        assert running.offer.target.companion
        assert slots.load(running.offer.target.companion.digest) == COMPANION


def main() -> None:
    directory, rounds = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps({"update": sum(kill_at_every_change(directory / str(each)) for each in range(rounds))}))


if __name__ == "__main__":
    main()
