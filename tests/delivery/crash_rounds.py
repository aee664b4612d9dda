"""Run as a program: a repository whose publisher is ended by kill -9 at each of its acts on files, one after another.

``python -m tests.delivery.crash_rounds DIRECTORY STEP [FIRST]`` prints, as JSON, how many times each command was
ended, at every STEP-th act from the FIRST (0). After each, a client of python-tuf that had followed the repository
before must read the state before or the state after, and the same command must succeed.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from lykeion.delivery import PublishOptions, init, publish, refresh, revoke, rotate, set_minimum
from lykeion.delivery.tuf.root_ceremony import sign_root
from lykeion.delivery.tuf.tuf_state import read_staged, staged_path
from tests.delivery.fleet import Fleet

ACTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.rmdir", "os.truncate"}
TARGETS = ("shoes/v1/any", "shoes/v2/any")


class FromDisk(FetcherInterface):
    """Reads URLs as paths."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("disk:"))
        if not path.is_file():
            raise DownloadHTTPError(f"{url}: there is none", 404)
        yield path.read_bytes()


def seen(home: Path, device: Path) -> tuple[bool, ...]:
    """Which targets a client finds and downloads, everything verified."""
    shutil.copytree(device, copy := device.with_name("copy"), symlinks=True, dirs_exist_ok=True)
    (copy / "targets").mkdir(exist_ok=True)
    public = home / "public"
    client = Updater(
        str(copy),
        f"disk:{public}/metadata/",
        str(copy / "targets"),
        f"disk:{public}/targets/",
        fetcher=FromDisk(),
        bootstrap=(public / "metadata" / "1.root.json").read_bytes(),
    )
    found = [client.get_targetinfo(path) for path in TARGETS]
    for target in found:
        if target:
            client.download_target(target)
    shutil.rmtree(copy)
    return tuple(target is not None for target in found)


@contextmanager
def killed_at(number: int, home: Path) -> Iterator[None]:
    """In this process from now on: SIGKILL before the ``number``-th act on a file of the repository."""
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in ACTS or not str(arguments[0]).startswith(str(home)):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(hook)
    yield


def was_killed(work: Callable[[], object], number: int, home: Path) -> bool:
    """Run in a fork; False if it ended by itself, before it was to be killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with killed_at(number, home):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the command failed by itself"
    return os.WIFSIGNALED(status)


def rounds(fleet: Fleet, work: Callable[[], object], again: Callable[[], object], numbers: Iterable[int]) -> int:
    """How often it was killed. ``again`` is the command that a person gives afterwards."""
    before = fleet.path / "before"
    shutil.copytree(fleet.home, before, symlinks=True)
    device = fleet.path / "device"
    device.mkdir(exist_ok=True)
    (device / "targets").mkdir(exist_ok=True)
    old = seen(fleet.home, device)
    again()
    new = seen(fleet.home, device)
    kills = 0
    for number in numbers:
        shutil.rmtree(fleet.home)
        shutil.copytree(before, fleet.home, symlinks=True)
        if not was_killed(work, number, fleet.home):
            break
        assert seen(fleet.home, device) in (old, new), number
        again()
        assert seen(fleet.home, device) == new, number
        assert not read_staged(fleet.home), number
        kills += 1
    shutil.rmtree(before)
    return kills


def main(directory: Path, step: int, first: int = 0) -> None:
    numbers = range(first, 100_000, step)
    os.environ["LYKEION_HOME"] = str(directory / "home")
    fleet = Fleet(directory)
    ended: dict[str, int] = {}

    def begin() -> None:
        init(fleet.home, threshold=1, clock=fleet.clock)

    ended["init"] = 0
    for number in numbers:
        if not was_killed(begin, number, fleet.home):
            break
        if staged_path(fleet.home).exists():
            sign_root(fleet.home, clock=fleet.clock)
        elif not (fleet.home / "public" / "metadata" / "1.root.json").exists():
            begin()
        assert (fleet.home / "public" / "metadata" / "1.root.json").exists(), number
        shutil.rmtree(fleet.home)
        ended["init"] += 1
    for seed in (1, 2):
        options = PublishOptions(fleet.classes(fleet.push(seed)))

        def release(name: str = f"shoes:v{seed}", options: PublishOptions = options) -> None:
            publish(fleet.home, name, options, clock=fleet.clock)

        ended[f"publish {seed}"] = rounds(fleet, release, release, numbers)

    def renew() -> None:
        rotate(fleet.home, "timestamp", clock=fleet.clock)

    def finish() -> None:
        if read_staged(fleet.home):
            sign_root(fleet.home, clock=fleet.clock)
        else:
            renew()

    ended["rotate"] = rounds(fleet, renew, finish, numbers)
    (fleet.home / "keys" / "snapshot.pem").unlink()

    def replace_lost() -> None:
        rotate(fleet.home, "snapshot", clock=fleet.clock)

    def finish_lost() -> None:
        sign_root(fleet.home, clock=fleet.clock) if read_staged(fleet.home) else replace_lost()

    ended["rotate a lost key"] = lost_rounds(fleet, replace_lost, finish_lost, numbers)
    ended["revoke"] = rounds(
        fleet,
        lambda: revoke(fleet.home, "shoes", 1, clock=fleet.clock),
        lambda: revoke(fleet.home, "shoes", 1, clock=fleet.clock),
        numbers,
    )

    def least() -> None:
        set_minimum(fleet.home, "shoes", 2, clock=fleet.clock)

    ended["minimum"] = rounds(fleet, least, least, numbers)
    fleet.wait(days=8)  # so that there is something to sign again, and to remove

    def sign_again() -> None:
        refresh(fleet.home, clock=fleet.clock)

    ended["refresh"] = rounds(fleet, sign_again, sign_again, numbers)
    print(json.dumps(ended))


def lost_rounds(fleet: Fleet, work: Callable[[], object], again: Callable[[], object], numbers: Iterable[int]) -> int:
    """As ``rounds``, but without a look in between: between the old key and the new one there is none that both
    roots accept."""
    before = fleet.path / "before"
    shutil.copytree(fleet.home, before, symlinks=True)
    device, kills = fleet.path / "device", 0
    for number in numbers:
        shutil.rmtree(fleet.home)
        shutil.copytree(before, fleet.home, symlinks=True)
        if not was_killed(work, number, fleet.home):
            break
        again()
        assert seen(fleet.home, device) == (True, True), number
        kills += 1
    shutil.rmtree(before)
    return kills


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
