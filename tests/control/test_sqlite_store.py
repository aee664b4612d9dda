"""Resources in a SQLite file."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import force_setattr

from lykeion.control import Gone, Key, NoSuchResource, ResourceError, ResourceStore, ResourceStoreError, SqliteStore

from .lamps import BULB, KINDS, LAMP, BulbSpec, LampSpec, LampStatus, lamp
from .store_behaviour import PROMISES


async def _with_store(path: Path, use: Callable[[ResourceStore], Awaitable[None]], **options: int) -> None:
    store = SqliteStore(path, KINDS, **options)
    try:
        await use(store)
    finally:
        await store.close()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_store_keeps_its_promises(promise: Callable[[ResourceStore], Awaitable[None]], tmp_path: Path) -> None:
    asyncio.run(_with_store(tmp_path / "state.db", promise))


def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    async def write(store: ResourceStore) -> None:
        made = await store.create(lamp())
        await store.write_status(made.with_status(LampStatus(lit=2)))

    async def read(store: ResourceStore) -> None:
        assert (await store.get(Key("Lamp", "default", "desk"))).status.lit == 2
        listing = await store.listing(LAMP)
        changed = await store.apply(lamp(bulbs=3))
        async for change in store.watch(LAMP, listing.version):
            assert change.resource == changed
            break

    asyncio.run(_with_store(tmp_path / "state.db", write))
    asyncio.run(_with_store(tmp_path / "state.db", read))


def test_a_watch_that_lies_too_far_behind_is_told_to_list_again(tmp_path: Path) -> None:
    async def use(store: ResourceStore) -> None:
        made = await store.create(lamp())
        since = (await store.listing(LAMP)).version
        for number in range(1, 6):
            made = await store.write_status(made.with_status(LampStatus(lit=number)))
        with pytest.raises(Gone):
            await anext(aiter(store.watch(LAMP, since)))

    asyncio.run(_with_store(tmp_path / "state.db", use, kept_changes=4))


def test_a_resource_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def use(store: ResourceStore) -> None:
        labels = {f"l{number}": "x" * 63 for number in range(10_000)}
        with pytest.raises(ResourceError, match="lamp/desk is larger than 512 KiB"):
            await store.create(LAMP.new("desk", LampSpec(bulbs=1), labels=labels))
        assert (await store.listing(LAMP)).items == ()

    asyncio.run(_with_store(tmp_path / "state.db", use))


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    async def use(store: ResourceStore) -> None:
        with pytest.raises(ResourceError, match="lamp/desk: spec: bulbs is '99'; it must be"):
            await store.create(lamp(bulbs=99))
        made = await store.create(lamp())
        with pytest.raises(ResourceError, match="lamp/desk: status: lit is '-1'"):
            await store.write_status(made.with_status(LampStatus(lit=-1)))
        with pytest.raises(ResourceError, match="a timer needs a bulb"):
            await store.apply(replace(made, spec=_unchecked(bulbs=0, timer=5)))
        assert (await store.listing(LAMP)).items == (made,)

    asyncio.run(_with_store(tmp_path / "state.db", use))


def _unchecked(**fields: int) -> LampSpec:
    """A spec that breaks the rules between its fields."""
    spec = LampSpec(bulbs=1)
    for name, value in fields.items():
        force_setattr(spec, name, value)
    return spec


DAMAGES = {
    "of another version": lambda document: document.replace('"bulbs"', '"lights"'),
    "cut": lambda document: document[:-1],
    "of no kind": lambda document: document.replace('"Lamp"', '"Lampe"'),
    "empty": lambda document: "",
    "no mapping": lambda document: "[]",
}


@given(st.dictionaries(st.integers(0, 3), st.sampled_from(sorted(DAMAGES)), max_size=4))
def test_objects_that_cannot_be_read_are_reported_and_the_others_are_as_before(damages: dict[int, str]) -> None:
    names = [f"lamp-{number}" for number in range(4)]
    good = [name for number, name in enumerate(names) if number not in damages]

    async def write(store: ResourceStore) -> None:
        for name in names:
            await store.create(lamp(name))

    async def read(store: ResourceStore) -> None:
        listing = await store.listing(LAMP)
        assert [each.metadata.name for each in listing.items] == good
        assert sorted(text.partition(":")[0] for text in listing.unreadable.values()) == [
            f"lamp/{names[number]}" for number in sorted(damages)
        ]
        changes = store.watch(LAMP, "0")
        assert [(await anext(changes)).resource.metadata.name for _ in good] == good
        for name in set(names) - set(good):
            with pytest.raises(ResourceStoreError, match=r"written by another version|not a resource"):
                await store.get(Key("Lamp", "default", name))
            await store.delete(Key("Lamp", "default", name))
        assert (await store.listing(LAMP)).unreadable == {}
        assert [each.metadata.name for each in (await store.listing(LAMP)).items] == good

    with TemporaryDirectory() as directory:
        path = Path(directory) / "state.db"
        asyncio.run(_with_store(path, write))
        with sqlite3.connect(path) as database:
            for number, damage in damages.items():
                for table in ("objects", "changes"):
                    where = f"WHERE document LIKE '%\"{names[number]}\"%'"
                    (found,) = database.execute(f"SELECT document FROM {table} {where}").fetchone()
                    database.execute(f"UPDATE {table} SET document = ? {where}", (DAMAGES[damage](found),))
        database.close()
        asyncio.run(_with_store(path, read))


def test_deleting_what_cannot_be_read_deletes_what_it_owns(tmp_path: Path) -> None:
    async def write(store: ResourceStore) -> None:
        desk = await store.create(lamp())
        await store.create(BULB.new("bulb", BulbSpec(), owner=desk))

    async def read(store: ResourceStore) -> None:
        since = (await store.listing(BULB)).version
        await store.delete(Key("Lamp", "default", "desk"))
        change = await anext(store.watch(BULB, since))
        assert (change.type, change.resource.metadata.name) == ("DELETED", "bulb")
        assert (await store.listing(BULB)).items == ()

    path = tmp_path / "state.db"
    asyncio.run(_with_store(path, write))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE objects SET document = '{}' WHERE kind = 'Lamp'")
    database.close()
    asyncio.run(_with_store(path, read))


def test_no_child_is_created_for_an_owner_that_was_deleted(tmp_path: Path) -> None:
    async def use(store: ResourceStore) -> None:
        desk = await store.create(lamp())
        await store.delete(desk.key)
        with pytest.raises(NoSuchResource, match="bulb/bulb: its owner, lamp/desk, was deleted"):
            await store.create(BULB.new("bulb", BulbSpec(), owner=desk))
        await store.create(lamp())
        with pytest.raises(NoSuchResource, match="its owner"):
            await store.apply(BULB.new("bulb", BulbSpec(), owner=desk))
        assert (await store.listing(BULB)).items == ()

    asyncio.run(_with_store(tmp_path / "state.db", use))


def test_only_the_user_may_read_the_file(tmp_path: Path) -> None:
    asyncio.run(_with_store(tmp_path / "platform" / "state.db", PROMISES[0]))
    assert (tmp_path / "platform" / "state.db").stat().st_mode & 0o077 == 0
    assert (tmp_path / "platform").stat().st_mode & 0o077 == 0


def test_a_file_of_another_program_or_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("not a database, but long enough to be looked at by SQLite " * 20)
    with pytest.raises(ResourceStoreError, match=r"state\.db: file is not a database"):
        SqliteStore(path, KINDS)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photos (id)")
    with pytest.raises(ResourceStoreError, match="not a file of the platform's resources"):
        SqliteStore(path, KINDS)
    path.unlink()
    asyncio.run(_with_store(path, PROMISES[0]))
    with sqlite3.connect(path) as ours:
        ours.execute("PRAGMA user_version=99")
    with pytest.raises(ResourceStoreError, match="has format 99; this version reads 1"):
        SqliteStore(path, KINDS)


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceStoreError, match=r"file/state\.db: (File exists|Not a directory)"):
        SqliteStore(tmp_path / "file" / "state.db", KINDS)


WRITER = """
import asyncio, sys
from pathlib import Path
from lykeion.control import SqliteStore
from tests.control.lamps import KINDS, lamp

async def main():
    store = SqliteStore(Path(sys.argv[1]), KINDS)
    for number in range(100_000):
        await store.create(lamp(f"lamp-{number}"))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 5, 40])
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "state.db"
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"},
    )
    assert writer.stdout
    last = -1
    with writer.stdout:
        for line in writer.stdout:  # to its end, since more may be acknowledged before the signal arrives
            last = int(line)
            if last == acknowledged:
                writer.send_signal(signal.SIGKILL)
    writer.wait()

    async def read(store: ResourceStore) -> None:
        names = {each.metadata.name for each in (await store.listing(LAMP)).items}
        assert {f"lamp-{number}" for number in range(last + 1)} <= names
        assert len(names) <= last + 2

    asyncio.run(_with_store(path, read))
