"""Run as a program: a repository whose publisher is ended by kill -9 at each of its acts on files, one after another.

``python -m tests.delivery.crash_rounds DIRECTORY STEP`` prints, as JSON, how many times each command was ended. After
each, a client of python-tuf that had followed the repository before must read the state before or the state after,
and the same command must succeed.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from lykeion.delivery import PublishOptions, init, publish, revoke, rotate
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


def rounds(fleet: Fleet, work: Callable[[], object], again: Callable[[], object], step: int) -> int:
    """How often it was killed. ``again`` is the command that a person gives afterwards."""
    before = fleet.path / "before"
    shutil.copytree(fleet.home, before, symlinks=True)
    device = fleet.path / "device"
    device.mkdir(exist_ok=True)
    (device / "targets").mkdir(exist_ok=True)
    old = seen(fleet.home, device)
    again()
    new = seen(fleet.home, device)
    number = 0
    while True:
        shutil.rmtree(fleet.home)
        shutil.copytree(before, fleet.home, symlinks=True)
        if not was_killed(work, number, fleet.home):
            break
        assert seen(fleet.home, device) in (old, new), number
        again()
        assert seen(fleet.home, device) == new, number
        assert not read_staged(fleet.home), number
        number += step
    shutil.rmtree(before)
    return number // step


def main(directory: Path, step: int) -> None:
    os.environ["LYKEION_HOME"] = str(directory / "home")
    fleet = Fleet(directory)
    ended: dict[str, int] = {}

    def begin() -> None:
        init(fleet.home, threshold=1, clock=fleet.clock)

    number = 0
    while was_killed(begin, number, fleet.home):
        if staged_path(fleet.home).exists():
            sign_root(fleet.home, clock=fleet.clock)
        elif not (fleet.home / "public" / "metadata" / "1.root.json").exists():
            begin()
        assert (fleet.home / "public" / "metadata" / "1.root.json").exists(), number
        shutil.rmtree(fleet.home)
        number += step
    ended["init"] = number // step
    for seed in (1, 2):
        options = PublishOptions(fleet.classes(fleet.push(seed)))

        def release(name: str = f"shoes:v{seed}", options: PublishOptions = options) -> None:
            publish(fleet.home, name, options, clock=fleet.clock)

        ended[f"publish {seed}"] = rounds(fleet, release, release, step)

    def renew() -> None:
        rotate(fleet.home, "timestamp", clock=fleet.clock)

    def finish() -> None:
        if read_staged(fleet.home):
            sign_root(fleet.home, clock=fleet.clock)
        else:
            renew()

    ended["rotate"] = rounds(fleet, renew, finish, step)
    (fleet.home / "keys" / "snapshot.pem").unlink()

    def replace_lost() -> None:
        rotate(fleet.home, "snapshot", clock=fleet.clock)

    def finish_lost() -> None:
        sign_root(fleet.home, clock=fleet.clock) if read_staged(fleet.home) else replace_lost()

    ended["rotate a lost key"] = lost_rounds(fleet, replace_lost, finish_lost, step)
    ended["revoke"] = rounds(
        fleet,
        lambda: revoke(fleet.home, "shoes", 1, clock=fleet.clock),
        lambda: revoke(fleet.home, "shoes", 1, clock=fleet.clock),
        step,
    )
    print(json.dumps(ended))


def lost_rounds(fleet: Fleet, work: Callable[[], object], again: Callable[[], object], step: int) -> int:
    """As ``rounds``, but without a look in between: between the old key and the new one there is none that both
    roots accept."""
    before = fleet.path / "before"
    shutil.copytree(fleet.home, before, symlinks=True)
    device, number = fleet.path / "device", 0
    while True:
        shutil.rmtree(fleet.home)
        shutil.copytree(before, fleet.home, symlinks=True)
        if not was_killed(work, number, fleet.home):
            break
        again()
        assert seen(fleet.home, device) == (True, True), number
        number += step
    shutil.rmtree(before)
    return number // step


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
