"""Processes of attempts: found again after a crash, ended whole, and never mistaken for another's."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lykeion.platform.local.processes.attempt import NEVER_STARTED, SUSPENDED, Attempt
from lykeion.platform.local.processes.attempt_directory import AttemptDirectory, AttemptError, kill_rest
from lykeion.platform.local.processes.launch import Launch
from lykeion.platform.local.processes.process_identity import ProcessIdentity, boot_id, process_start

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def _start(path: Path, script: str) -> tuple[AttemptDirectory, subprocess.Popen[bytes]]:
    attempt = AttemptDirectory.create(path, Attempt(0, 0, NOON))
    return attempt, attempt.start(Launch(("sh", "-c", script), os.environ, str(path)))


def _until(happens: object) -> None:
    deadline = time.monotonic() + 60
    while not happens():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_how_a_program_ended_is_recorded_without_a_supervisor(tmp_path: Path, code: int) -> None:
    attempt, process = _start(tmp_path, f"echo first; echo last >&2; exit {code}")
    process.wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert (ended.exit_code, ended.reason, ended.message) == (code, "", "last")
    assert ended.succeeded == (code == 0)
    assert attempt.log.read_text() == "first\nlast\n"


def test_a_program_that_is_not_there_has_the_shells_code_and_message(tmp_path: Path) -> None:
    attempt = AttemptDirectory.create(tmp_path, Attempt(0, 0, NOON))
    attempt.start(Launch(("no-such-program",), os.environ, str(tmp_path))).wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert ended.exit_code == 127
    assert "no-such-program: not found" in ended.message


@pytest.mark.parametrize(("argv", "place"), [(["true"], "/no/such/directory"), (["a\0b"], "/")])
def test_what_cannot_be_started_says_why(tmp_path: Path, argv: list[str], place: str) -> None:
    attempt = AttemptDirectory.create(tmp_path, Attempt(0, 0, NOON))
    with pytest.raises(AttemptError, match=r"cannot start: .*(/no/such/directory: No such file|null byte)"):
        attempt.start(Launch(tuple(argv), os.environ, place))


@pytest.mark.parametrize(
    ("script", "reason", "result"),
    [
        ("printf '{}' > result", "", "{}"),
        ("printf '{}' > result; exit 1", "", ""),
        ("head -c 5000 /dev/zero | tr '\\0' x > result", "ResultTooLarge", ""),
        ("mkfifo result", "", ""),
        ("ln -s /etc/passwd result", "", ""),
        ("mkdir result", "", ""),
        ("true", "", ""),
    ],
)
def test_what_a_program_wrote_as_its_result_is_recorded_within_limits(
    tmp_path: Path, script: str, reason: str, result: str
) -> None:
    attempt, process = _start(tmp_path, f"cd {tmp_path}/0-0; {script}")
    process.wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert (ended.reason, ended.result) == (reason, result)


def test_an_attempt_runs_once_at_most(tmp_path: Path) -> None:
    attempt = AttemptDirectory.create(tmp_path, Attempt(0, 0, NOON))
    assert attempt.abandon()
    assert not attempt.abandon()
    assert attempt.start(Launch(("sh", "-c", "echo ran"), os.environ, str(tmp_path))).wait() == 125
    assert "ran" not in attempt.log.read_text().splitlines()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert ended.reason == NEVER_STARTED


@linux
def test_a_process_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    attempt, process = _start(tmp_path, "sleep 600")
    _until(attempt.identity)
    identity = attempt.identity()
    assert identity is not None
    assert identity == ProcessIdentity(process.pid, process_start(process.pid), boot_id())
    assert identity.is_alive()
    for stranger in (replace(identity, start="1"), replace(identity, boot="another boot")):
        assert not stranger.is_alive()
        assert not stranger.signal_group(signal.SIGKILL)
    assert process.poll() is None
    assert identity.signal_group(signal.SIGKILL)
    process.wait()
    assert not identity.is_alive()


def test_stopping_asks_first_and_kills_after_the_grace_period(tmp_path: Path) -> None:
    attempt, process = _start(tmp_path, "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done")
    _until(lambda: "ready" in attempt.log.read_text())
    assert attempt.stop(SUSPENDED, NOON, 30) == NOON + timedelta(seconds=30)
    _until(lambda: "asked" in attempt.log.read_text())
    attempt.stop(SUSPENDED, NOON + timedelta(seconds=29), 30)
    assert process.poll() is None
    attempt.stop(SUSPENDED, NOON + timedelta(seconds=30), 30)
    process.wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert (ended.exit_code, ended.reason) == (None, SUSPENDED)
    assert not ended.failed


def test_a_program_that_ends_well_when_asked_to_has_not_succeeded(tmp_path: Path) -> None:
    attempt, process = _start(tmp_path, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    _until(lambda: "ready" in attempt.log.read_text())
    attempt.stop(SUSPENDED, NOON, 30, process.pid)
    process.wait()
    attempt.record_end(NOON)
    ended = attempt.attempt()
    assert ended is not None
    assert ended.exit_code == 0
    assert not ended.succeeded
    assert not ended.failed


@linux
def test_what_a_program_leaves_running_is_ended_wherever_it_went(tmp_path: Path) -> None:
    script = "setsid sleep 600 & echo $! > inside; sleep 600 & echo $! > beside"
    attempt, process = _start(tmp_path, script)
    process.wait()
    left = [int((tmp_path / name).read_text()) for name in ("inside", "beside")]
    _until(lambda: all(process_start(pid) for pid in left))
    kill_rest([attempt])
    _until(lambda: not any(_runs(pid) for pid in left))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
