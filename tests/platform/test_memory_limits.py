"""A program gets the memory that it asks for and no more: by a control group, or watched."""

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lykeion.platform.local.processes.attempt import OOM_KILLED, Attempt
from lykeion.platform.local.processes.attempt_directory import MARK, AttemptDirectory, kill_rest
from lykeion.platform.local.processes.launch import Launch
from lykeion.platform.local.processes.memory_cgroup import MemoryCgroup, delegated_cgroup
from lykeion.platform.local.processes.resident_memory import MemoryLimit, ResidentMemory

from .test_processes import NOON, linux

MIB = 1 << 20


def _delegated(root: Path, *, leaf: str = "platform", controllers: str = "cpu memory pids") -> Path:
    group = root / "sys/fs/cgroup/user.slice/lykeion.service"
    (group / leaf).mkdir(parents=True)
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"4:memory:/old\n0::/user.slice/lykeion.service/{leaf}\n")
    (group / "cgroup.controllers").write_text(controllers + "\n")
    (group / "cgroup.subtree_control").touch()
    return group


def test_a_delegated_group_is_found_and_limits_what_is_below_it(tmp_path: Path) -> None:
    group = _delegated(tmp_path)
    assert delegated_cgroup(tmp_path) == group
    assert (group / "cgroup.subtree_control").read_text() == "+memory"


def test_a_group_that_was_not_delegated_is_left_alone(tmp_path: Path) -> None:
    other = _delegated(tmp_path / "other", leaf="shell")
    assert delegated_cgroup(tmp_path / "other") is None
    assert (other / "cgroup.subtree_control").read_text() == ""
    _delegated(tmp_path / "bare", controllers="cpu")
    assert delegated_cgroup(tmp_path / "bare") is None
    assert delegated_cgroup(tmp_path / "no") is None


def test_a_program_joins_its_group_and_its_end_there_is_told(tmp_path: Path) -> None:
    group = _delegated(tmp_path)
    (group / "u-0-0").mkdir()
    (group / "u-0-0/memory.swap.max").write_text("max")
    attempt = AttemptDirectory.create(tmp_path / "u", Attempt(0, 0, NOON))
    attempt.limit_memory(group, 64 * MIB)
    process = attempt.start(Launch(("sh", "-c", "echo runs; exit 3"), os.environ, str(tmp_path)))
    process.wait()
    written = {each.name: each.read_text().strip() for each in (group / "u-0-0").iterdir()}
    assert written == {
        "memory.max": str(64 * MIB), "memory.oom.group": "1", "memory.swap.max": "0", "cgroup.procs": "0",
    }  # fmt: skip
    assert attempt.log.read_text() == "runs\n"
    (group / "u-0-0/memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    kill_rest([attempt])
    assert (group / "u-0-0/cgroup.kill").read_text() == "1"
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert (ended.reason, ended.failed) == (OOM_KILLED, True)


def test_a_program_in_a_group_that_ends_by_itself_is_not_said_to_have_been_killed(tmp_path: Path) -> None:
    attempt = AttemptDirectory.create(tmp_path / "u", Attempt(0, 0, NOON))
    attempt.limit_memory(tmp_path, MIB)
    (tmp_path / "u-0-0/memory.events").write_text("oom 0\noom_kill 0\n")
    attempt.start(Launch(("false",), os.environ, str(tmp_path))).wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert (ended.reason, ended.exit_code) == ("", 1)


def test_a_group_is_removed_once_nothing_is_left_in_it(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "cgroup").symlink_to(tmp_path / "group")
    MemoryCgroup(tmp_path / "cgroup").remove()
    assert not (tmp_path / "group").exists()


@contextmanager
def _program(directory: Path, script: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own that prints a line once it uses its memory."""
    variables = {**os.environ, MARK: str(directory), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", script + "\nprint(flush=True); import sys; sys.stdin.read()"],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout
        process.stdout.readline()
        yield process
    finally:
        process.communicate(b"")


def _exceeds(directory: Path, process: subprocess.Popen[bytes], limit: int) -> bool:
    return bool(ResidentMemory().exceeded([MemoryLimit(directory, process.pid, limit)]))


@linux
def test_memory_that_a_program_uses_counts(tmp_path: Path) -> None:
    with _program(tmp_path, f"kept = b'x' * {96 * MIB}") as process:
        assert _exceeds(tmp_path, process, 64 * MIB)
        assert not _exceeds(tmp_path, process, 1024 * MIB)


@linux
@pytest.mark.parametrize("leave", ["os.setsid()", "pass"])
def test_memory_of_what_a_program_starts_counts_wherever_it_went(tmp_path: Path, leave: str) -> None:
    script = f"""
import os, signal
ready, done = os.pipe()
if not os.fork():
    {leave}
    kept = b'x' * {96 * MIB}
    os.write(done, b'x'); os.close(done)
    import sys; sys.stdin.read(); os._exit(0)
os.read(ready, 1)
"""
    with _program(tmp_path, script) as process:
        assert _exceeds(tmp_path, process, 64 * MIB)


@linux
def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    script = f"""
import os
kept = b'x' * {96 * MIB}
for _ in range(4):
    if not os.fork():
        import sys; sys.stdin.read(); os._exit(0)
"""
    with _program(tmp_path, script) as process:
        assert not _exceeds(tmp_path, process, 192 * MIB)


@linux
def test_files_that_a_program_maps_do_not_count(tmp_path: Path) -> None:
    with (tmp_path / "vectors").open("wb") as file:
        file.write(b"x" * 96 * MIB)
    script = f"""
import mmap
file = open({str(tmp_path / "vectors")!r}, 'rb')
kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(kept[each] for each in range(0, len(kept), {mmap.PAGESIZE}))
"""
    with _program(tmp_path, script) as process:
        assert not _exceeds(tmp_path, process, 64 * MIB)


@linux
def test_a_stranger_is_not_counted(tmp_path: Path) -> None:
    with _program(tmp_path / "a", f"kept = b'x' * {96 * MIB}"), _program(tmp_path / "b", "") as small:
        assert not _exceeds(tmp_path / "b", small, 64 * MIB)


@linux
def test_memory_of_a_child_that_has_neither_the_session_nor_the_mark_counts(tmp_path: Path) -> None:
    grandchild = f"import sys; kept = b'x' * {96 * MIB}; print(flush=True); sys.stdin.read()"
    script = f"""
import subprocess, sys
command = [sys.executable, "-c", {grandchild!r}]
child = subprocess.Popen(command, env={{}}, start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
"""
    with _program(tmp_path, script) as process:
        assert _exceeds(tmp_path, process, 64 * MIB)
