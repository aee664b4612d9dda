"""What a lock between processes promises."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lykeion.core import FileLock, Locked, LockError, locked

HOLD = """
import sys
from pathlib import Path
from lykeion.core import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire(name=sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path, name: str = "turn") -> "subprocess.Popen[str]":
    """Another process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("name", ["turn", "session"])
def test_whoever_finds_it_locked_is_told_the_holder(tmp_path: Path, name: str) -> None:
    with holder(tmp_path / "lock", name) as process:
        with pytest.raises(Locked, match=rf"lock is held by process {process.pid}; wait for it or end it$"):
            FileLock(tmp_path / "lock").acquire(wait_s=0)
        process.communicate()


def test_a_session_is_not_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "session") as process:
        with pytest.raises(Locked):
            FileLock(tmp_path / "lock").acquire(wait_s=3600)
        process.communicate()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        process.kill()
    with locked(tmp_path / "lock", wait=False):
        pass


def test_it_is_released_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "lock"):
        raise KeyboardInterrupt
    with locked(tmp_path / "lock", wait=False):
        pass


def test_shared_holders_exclude_only_an_exclusive_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, shared=True), locked(path, shared=True, wait=False), pytest.raises(Locked):
        FileLock(path).acquire(wait_s=0)
    with locked(path), pytest.raises(Locked), locked(path, shared=True, wait=False):
        pass


def test_a_directory_is_locked_where_it_is(tmp_path: Path) -> None:
    with locked(tmp_path, create=False), pytest.raises(Locked), locked(tmp_path, create=False, wait=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_neither_holds_nor_releases_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.acquire()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        lock.release()
        os.read(read, 1)  # lives on until the parent is done
        os._exit(0 if not lock.held else 1)
    with pytest.raises(Locked), locked(tmp_path / "lock", wait=False):
        pass
    lock.release()
    with locked(tmp_path / "lock", wait=False):
        pass
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_descriptor_that_a_program_inherits_holds_nothing_once_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.acquire()
    descriptor = lock._descriptor
    assert descriptor is not None
    os.set_inheritable(descriptor, True)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor]) as process:
        lock.release()
        with locked(tmp_path / "lock", wait=False):
            process.communicate()


@pytest.mark.parametrize("replaced", [False, True])
def test_whoever_waited_for_a_file_that_went_holds_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    path, flock, went = tmp_path / "lock", fcntl.flock, False

    def flock_as_it_goes(descriptor: int, operation: int) -> None:
        nonlocal went
        flock(descriptor, operation)
        if not went:
            went = True
            path.unlink()
            if replaced:
                path.touch()

    monkeypatch.setattr(fcntl, "flock", flock_as_it_goes)
    with locked(path), pytest.raises(Locked), locked(path, wait=False):
        pass
    assert went


def test_a_directory_that_went_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"gone: cannot be locked \(No such file or directory\)$"):
        FileLock(tmp_path / "gone", create=False).acquire()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(LockError, match=r"use a file system that supports locks$"):
        lock.acquire()
    assert not lock.held


def test_a_signal_does_not_end_the_wait(tmp_path: Path) -> None:
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    path = tmp_path / "lock"
    try:
        with holder(path) as process:

            def interrupt() -> None:
                while not signals:
                    os.kill(os.getpid(), signal.SIGUSR1)
                process.communicate()

            thread = threading.Thread(target=interrupt)
            thread.start()
            with locked(path):
                assert signals
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def _count(path: Path, times: int) -> None:
    for _ in range(times):
        with locked(path.with_suffix(".lock")):
            path.write_text(str(int(path.read_text()) + 1))


def test_processes_and_threads_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(path, 100)) for _ in range(2)]
    workers += [threading.Thread(target=_count, args=(path, 100)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert path.read_text() == "400"


def test_what_a_stranger_wrote_into_the_file_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    holder, other = FileLock(path), FileLock(path)
    holder.acquire()
    path.write_bytes(b"\x1b[2J\nerror: pay\n")
    with pytest.raises(Locked, match="held by process unknown; wait") as caught:
        other.acquire(wait_s=0)
    assert str(caught.value).isprintable()
    holder.release()


def test_a_release_that_the_file_system_refuses_frees_the_lock_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = FileLock(tmp_path / "LOCK"), FileLock(tmp_path / "LOCK")
    holder.acquire()

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse)
        holder.release()
    other.acquire(wait_s=0)
    assert other.held
    other.release()
