"""A backup restores what was there, beside a running platform too, and no file can do more than that."""

import asyncio
import io
import os
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lykeion.control import SqliteStore
from lykeion.platform import KINDS, AlreadyRuns
from lykeion.platform.local.local_platform import locked
from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.processes.attempt_directory import AttemptDirectory
from lykeion.platform.local.processes.launch import Launch
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.local.state_backup import NotABackup, StateExists, back_up, restore
from lykeion.platform.resources.programs.program_volume import VOLUME, VolumeSpec
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION

from .batches import batch
from .test_processes import NOON


def _with_store(directory: Path, work: Callable[[SqliteStore], Any]) -> Any:
    async def opened() -> Any:
        store = SqliteStore(directory / "state.db", KINDS)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def _ended(directory: Path, name: str = "u") -> AttemptDirectory:
    attempt = AttemptDirectory.create(directory / "work" / name, Attempt(0, 0, NOON))
    attempt.start(Launch(("sh", "-c", "echo printed; exit 3"), os.environ, "/")).wait()
    attempt.record_end(NOON)
    return attempt


def _names(directory: Path) -> list[str]:
    return [each.metadata.name for each in _with_store(directory, lambda store: store.listing(BATCH_EXECUTION)).items]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "platform"
    directory.mkdir()
    _with_store(directory, lambda store: store.create(batch()))
    _ended(directory)
    return directory


@pytest.fixture
def backup(state: Path, tmp_path: Path) -> Path:
    back_up(state, tmp_path / "backup", logs=True)
    return tmp_path / "backup"


def test_what_was_backed_up_is_there_again(state: Path, backup: Path, tmp_path: Path) -> None:
    assert restore(tmp_path / "new", backup, KINDS) is None
    assert _names(tmp_path / "new") == ["embed"]
    here, there = (AttemptDirectory(each / "work/u/0-0") for each in (state, tmp_path / "new"))
    assert there.attempt() == here.attempt()
    assert there.log.read_text() == "printed\n"
    assert backup.stat().st_mode & 0o777 == (tmp_path / "new/state.db").stat().st_mode & 0o777 == 0o600


def test_logs_are_only_in_a_backup_that_asks_for_them(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "small")
    restore(tmp_path / "new", tmp_path / "small", KINDS)
    assert not (tmp_path / "new/work/u/0-0/log").exists()
    assert AttemptDirectory(tmp_path / "new/work/u/0-0").attempt()


def test_a_backup_is_made_while_the_store_is_written(state: Path, tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        for number in range(20):
            await store.create(BATCH_EXECUTION.new(f"b-{number}", batch().spec))
            if number == 9:
                await asyncio.to_thread(back_up, state, tmp_path / "backup")

    _with_store(state, use)
    restore(tmp_path / "new", tmp_path / "backup", KINDS)
    assert len(_names(tmp_path / "new")) == 11


def test_a_running_platform_and_an_existing_state_are_not_replaced(state: Path, backup: Path, tmp_path: Path) -> None:
    with pytest.raises(StateExists, match="--force"):
        restore(state, backup, KINDS)
    lock = locked(state)
    try:
        with pytest.raises(AlreadyRuns, match="lykeion down"):
            restore(state, backup, KINDS, force=True)
    finally:
        lock.release()
    assert _names(state) == ["embed"]


def test_a_state_is_moved_aside_with_all_but_the_volumes_in_use(state: Path, tmp_path: Path) -> None:
    volume = _with_store(state, lambda store: store.create(VOLUME.new("run", VolumeSpec())))
    used, other = state / "volumes" / volume.metadata.uid, state / "volumes" / "other"
    used.mkdir(parents=True)
    other.mkdir()
    back_up(state, tmp_path / "backup")
    _with_store(state, lambda store: store.create(BATCH_EXECUTION.new("later", batch().spec)))
    aside = restore(state, tmp_path / "backup", KINDS, force=True)
    assert aside is not None
    assert (_names(aside), _names(state)) == (["embed", "later"], ["embed"])
    assert used.is_dir()
    assert [each.name for each in (aside / "volumes").iterdir()] == ["other"]


def test_processes_of_the_platform_that_was_backed_up_are_neither_adopted_nor_signalled(
    state: Path, tmp_path: Path
) -> None:
    attempt = AttemptDirectory.create(state / "work/u", Attempt(1, 0, NOON))
    process = attempt.start(Launch(("sleep", "600"), os.environ, "/"))
    try:
        while attempt.identity() is None:
            pass
        back_up(state, tmp_path / "backup")
        restore(tmp_path / "new", tmp_path / "backup", KINDS)
        processes = OwnedProcesses(tmp_path / "new/work", lambda: NOON, lambda uid: None)
        processes.adopt("u")
        (running,) = processes.running("u")
        processes.stop("u", running, "Shutdown", 0)
        assert [each.index for each in processes.see_ends("u")] == [1]
        assert process.poll() is None
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_damaged_backup_is_refused_and_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    data = backup.read_bytes()
    for number, damaged in enumerate((b"", b"x" * 1000, data[:100], data[: len(data) // 2], data[:-9], data[:-1])):
        backup.write_bytes(damaged)
        with pytest.raises(NotABackup, match="is no backup of a platform, or is damaged"):
            restore(tmp_path / f"n{number}", backup, KINDS)
        assert [each.name for each in (tmp_path / f"n{number}").iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/tmp/outside", tarfile.REGTYPE),
        ("work/u/0-0/../../../outside", tarfile.REGTYPE),
        ("work/u/0-0/cgroup", tarfile.REGTYPE),
        ("work/u/0-0/log", tarfile.SYMTYPE),
        ("work/u/0-0/log", tarfile.LNKTYPE),
        ("work/u/0-0", tarfile.DIRTYPE),
        ("state.db", tarfile.FIFOTYPE),
        ("state.db", tarfile.REGTYPE),
    ],
)
def test_a_hostile_backup_writes_nothing(backup: Path, tmp_path: Path, name: str, type_: bytes) -> None:
    hostile = tmp_path / "hostile"
    with tarfile.open(backup) as good, tarfile.open(hostile, "w:gz") as archive:
        for entry in good:
            archive.addfile(entry, good.extractfile(entry))
        added = tarfile.TarInfo(name)
        added.type, added.linkname = type_, "/etc/passwd"
        archive.addfile(added, io.BytesIO())
    with pytest.raises(NotABackup, match="is no backup of a platform"):
        restore(tmp_path / "new", hostile, KINDS)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["lock"]
    assert not (tmp_path / "outside").exists()


def test_another_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("CREATE TABLE t (c)")
    database.close()
    with tarfile.open(tmp_path / "backup", "w:gz") as archive:
        archive.add(tmp_path / "state.db", "state.db")
    with pytest.raises(NotABackup, match="is not a file of the platform's resources"):
        restore(tmp_path / "new", tmp_path / "backup", KINDS)
