"""The supervisor loses nothing and does nothing twice, whatever its store, its clock and its disk do."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lykeion.control import Gone, SqliteStore, is_true
from lykeion.platform import KINDS
from lykeion.platform.local.processes.attempt import SUSPENDED, Attempt
from lykeion.platform.local.processes.attempt_directory import AttemptDirectory, AttemptError
from lykeion.platform.local.processes.launch import Launch
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.local.processes.process_identity import boot_id
from lykeion.platform.local.supervision.machine_room import LocalMachine
from lykeion.platform.local.supervision.proxy_control import ProxyControl, proxy_settings
from lykeion.platform.local.supervision.steady_clock import steady_clock
from lykeion.platform.local.supervision.supervisor import Supervisor
from lykeion.platform.resources.programs.program import Program
from tests.control.test_control_loop import TroubledStore

from .batches import work
from .test_processes import NOON, linux


def _with_supervisor(
    home: Path, use: Callable[[TroubledStore], Awaitable[None]], now: Callable[[], datetime] | None = None
) -> None:
    async def main() -> None:
        store = TroubledStore(home / "state.db", KINDS)
        proxy = ProxyControl(home / "proxy", proxy_settings(home / "proxy"))
        machine = LocalMachine(4, 1 << 40, os.environ, str(home))
        running = asyncio.create_task(Supervisor(store, home, machine, proxy, now).run())
        try:
            await asyncio.wait_for(use(store), 60)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await store.close()

    asyncio.run(main())


async def _ended(store: SqliteStore, made: Any) -> Any:
    """The status of the Work when it has ended."""
    watch = SqliteStore.watch(store, made.kind, made.metadata.resource_version)
    async for change in watch:
        conditions = change.resource.status.conditions
        if is_true(conditions, "Complete") or is_true(conditions, "Failed"):
            return change.resource.status


def _script(text: str) -> Program:
    return Program(command=("sh", "-c", text))


def test_watches_that_are_dropped_and_writes_that_conflict_lose_no_shard_and_run_none_twice(tmp_path: Path) -> None:
    async def use(store: TroubledStore) -> None:
        store.changes, store.error, store.refused = 2, Gone("gone"), 3
        program = _script("echo $JOB_COMPLETION_INDEX >> ran")
        made = await SqliteStore.create(store, work(12, program=program, parallelism=4))
        assert (await _ended(store, made)).succeeded == "0-11"

    _with_supervisor(tmp_path, use)
    assert sorted((tmp_path / "ran").read_text().split(), key=int) == [str(index) for index in range(12)]


class Clock:
    """Stands still, but for steps."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("step_s", [-7200, 7200])
def test_a_clock_that_is_set_starts_a_failed_program_once_and_leaves_running_ones(
    tmp_path: Path, step_s: float
) -> None:
    clock = Clock()

    async def use(store: TroubledStore) -> None:
        script = "echo $JOB_COMPLETION_INDEX >> ran; test $JOB_COMPLETION_INDEX = 1 || test -e again || "
        script += "{ touch again; exit 1; }; while ! test -e go; do sleep 0.02; done"
        made = await SqliteStore.create(store, work(2, program=_script(script), parallelism=2, retries=5))
        while not (await store.get(made.key)).status.failures:
            await asyncio.sleep(0.01)
        clock.now += timedelta(seconds=step_s)
        await SqliteStore.apply(store, replace(made, metadata=_labelled(made)))  # it is looked at
        while (tmp_path / "ran").read_text().split().count("0") < 2:
            await asyncio.sleep(0.01)
        clock.now -= timedelta(seconds=step_s)
        (tmp_path / "go").touch()
        status = await _ended(store, made)
        assert (status.succeeded, status.attempts) == ("0-1", 3)

    _with_supervisor(tmp_path, use, clock)
    assert sorted((tmp_path / "ran").read_text().split()) == ["0", "0", "1"]


def _labelled(resource: Any) -> Any:
    return type(resource.metadata)(name=resource.metadata.name, labels={"seen": "yes"})


def test_the_supervisors_clock_does_not_follow_steps_of_the_systems() -> None:
    system, elapsed = [NOON], [100.0]
    now = steady_clock(lambda: system[0], lambda: elapsed[0])
    system[0], elapsed[0] = datetime(2031, 1, 1, tzinfo=UTC), 130.0
    assert now() == NOON + timedelta(seconds=30)


def test_a_clock_that_is_set_back_does_not_lengthen_a_grace_period(tmp_path: Path) -> None:
    attempt = AttemptDirectory.create(tmp_path, Attempt(0, 0, NOON))
    assert attempt.stop(SUSPENDED, NOON, 30) == NOON + timedelta(seconds=30)
    back = NOON - timedelta(days=1)
    assert attempt.stop(SUSPENDED, back, 30) == back + timedelta(seconds=30)
    assert attempt.stop(SUSPENDED, back + timedelta(seconds=20), 30) == back + timedelta(seconds=30)


@linux
def test_a_process_that_has_the_number_of_ours_is_neither_adopted_nor_signalled(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        attempt = AttemptDirectory.create(tmp_path / "u", Attempt(0, 0, NOON))
        (attempt.path / "started").write_text(f"{stranger.pid} 1 {boot_id()}\n")
        processes = OwnedProcesses(tmp_path, lambda: NOON, lambda uid: None)
        processes.adopt("u")
        assert processes.stop_all("u", "Shutdown", 0) is not None
        (ended,) = processes.see_ends("u")
        assert ended.failed == (ended.reason != "Shutdown")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_ends_that_cannot_be_recorded_yet_are_told_once_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = OwnedProcesses(tmp_path, lambda: NOON, lambda uid: None)
    for index in range(3):
        processes.start("u", Attempt(index, 0, NOON), Launch(("true",), os.environ, "/"))
    children = list(processes._children.values())
    for child in children:
        child.wait()
    record_end, full = AttemptDirectory.record_end, [True]

    def refuses(attempt: AttemptDirectory, *arguments: Any) -> None:
        if attempt.path.name == "1-0" and full:
            full.clear()
            raise AttemptError("no space left")
        record_end(attempt, *arguments)

    monkeypatch.setattr(AttemptDirectory, "record_end", refuses)
    with pytest.raises(AttemptError, match="no space left"):
        processes.see_ends("u")
    assert sorted(each.index for each in processes.see_ends("u")) == [0, 1, 2]
    assert processes.see_ends("u") == []
