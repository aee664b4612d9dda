import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lykeion.search.thumbnails import IN_INDEX, NO_THUMBNAILS, ThumbnailError, ThumbnailPlace, Thumbnails


@pytest.fixture
def small(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails.sqlite")


def test_a_thumbnail_comes_back_by_product_and_photo(small: Thumbnails) -> None:
    small.put_many([("shoe", "front.jpg", b"1"), ("shoe", "back.jpg", b"2"), ("bag", "", b"3")])
    assert small.get("shoe", "front.jpg") == b"1"
    assert small.get("shoe") == b"2"
    assert small.get("bag") == b"3"
    assert small.get("shoe", "side.jpg") is None
    assert small.get("hat") is None


def test_reading_does_not_make_a_file(small: Thumbnails) -> None:
    assert small.get("shoe") is None
    small.delete(["shoe"])
    small.check()
    assert not small.path.exists()


def test_putting_again_replaces_and_deleting_takes_all_photos_or_the_named(small: Thumbnails) -> None:
    small.put_many([("a", "1", b"x"), ("a", "1", b"y"), ("a", "2", b"z"), ("b", "1", b"w")])
    assert small.get("a", "1") == b"y"
    small.delete(["a"], photos=["1"])
    assert (small.get("a", "1"), small.get("a", "2")) == (None, b"z")
    small.delete(["a", "b"])
    assert small.get("a") is None
    assert small.get("b") is None


def test_a_batch_is_written_whole_or_not_at_all(small: Thumbnails) -> None:
    small.put_many([("a", "", b"1")])
    with pytest.raises(ThumbnailError):
        small.put_many([("a", "", b"2"), ("b", "", None)])  # type: ignore[list-item]
    assert small.get("a") == b"1"
    assert small.get("b") is None


def test_threads_share_one_object(small: Thumbnails) -> None:
    def work(name: str) -> None:
        for n in range(50):
            small.put_many([(name, str(n), name.encode())])
            assert small.get(name, str(n)) == name.encode()

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(small.get(f"t{n}", "49") == f"t{n}".encode() for n in range(4))
    small.close()
    assert small.get("t0", "0") == b"t0"


def _write(path: Path, name: str) -> None:
    small = Thumbnails(path)
    for n in range(30):
        small.put_many([(name, str(n), bytes(1000))])


@pytest.mark.slow
def test_processes_that_begin_together_share_one_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "thumbnails.sqlite"
    processes = [context.Process(target=_write, args=(path, f"p{n}")) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert all(Thumbnails(path).get(f"p{n}", "29") for n in range(3))


def test_threads_that_make_one_file_at_the_same_moment_all_write_and_read(tmp_path: Path) -> None:
    """In most of such rounds one finds the other's file half made, unless it is made in one transaction."""
    for round in range(30):
        path, begin = tmp_path / f"{round}.sqlite", threading.Barrier(8)

        def work(number: int, path: Path = path, begin: threading.Barrier = begin) -> bytes | None:
            small = Thumbnails(path)
            begin.wait()
            if number % 4:
                small.put_many([(str(number), "", b"x")])
            found = small.get(str(number))
            small.close()
            return found

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(work, range(8))) == [None, b"x", b"x", b"x"] * 2


def test_a_file_in_which_nothing_was_written_reads_as_empty(small: Thumbnails) -> None:
    small.path.touch()
    assert small.get("shoe") is None
    small.put_many([("shoe", "", b"1")])
    assert small.get("shoe") == b"1"


def test_another_file_is_taken_over(small: Thumbnails, tmp_path: Path) -> None:
    other = Thumbnails(tmp_path / "other.sqlite")
    other.put_many([("a", "", b"theirs"), ("b", "", b"theirs")])
    small.put_many([("a", "", b"ours"), ("c", "", b"ours")])
    small.copy_from(other.path)
    small.copy_from(tmp_path / "nothing.sqlite")
    assert [small.get(id) for id in "abc"] == [b"theirs", b"theirs", b"ours"]
    assert not (tmp_path / "nothing.sqlite").exists()


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_bytes(b"not a database" * 100)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE thumbnail (a)")
    for path in (text, foreign):
        before = path.read_bytes()
        for act in (lambda s: s.get("a"), lambda s: s.put_many([("a", "", b"")]), lambda s: s.check()):
            with pytest.raises(ThumbnailError) as caught:
                act(Thumbnails(path))
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
        assert path.read_bytes() == before


def test_a_newer_format_is_refused_in_one_line(small: Thumbnails) -> None:
    small.put_many([("a", "", b"1")])
    small.close()
    with sqlite3.connect(small.path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(ThumbnailError, match="newer lykeion"):
        small.get("a")


def test_a_local_index_has_them_in_its_directory_and_another_only_where_told() -> None:
    assert IN_INDEX.of("shop.index") == Path("shop.index/thumbnails.sqlite")
    assert NO_THUMBNAILS.of("shop.index") is None
    assert IN_INDEX.of("milvus://host:1/shop") is None
    assert ThumbnailPlace(Path("t.sqlite")).of("milvus://host:1/shop") == Path("t.sqlite")


class AgainstADictionary(RuleBasedStateMachine):
    ids = st.sampled_from(["a", "b", "é"])
    photos = st.sampled_from(["", "1", "2"])

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.small = Thumbnails(Path(self.folder.name) / "t.sqlite")
        self.model: dict[tuple[str, str], bytes] = {}

    @rule(rows=st.lists(st.tuples(ids, photos, st.binary(max_size=4)), max_size=4))
    def put(self, rows: list[tuple[str, str, bytes]]) -> None:
        self.small.put_many(rows)
        self.model.update({(id, photo): jpeg for id, photo, jpeg in rows})

    @rule(id=ids)
    def delete(self, id: str) -> None:
        self.small.delete([id])
        self.model = {key: value for key, value in self.model.items() if key[0] != id}

    @rule(id=ids, photo=photos)
    def delete_photo(self, id: str, photo: str) -> None:
        self.small.delete([id], photos=[photo])
        self.model.pop((id, photo), None)

    @rule()
    def reopen(self) -> None:
        self.small.close()
        self.small = Thumbnails(self.small.path)

    @invariant()
    def same(self) -> None:
        for id in ("a", "b", "é"):
            for photo in ("1", "2"):
                assert self.small.get(id, photo) == self.model.get((id, photo))
            first = min((key for key in self.model if key[0] == id), default=None)
            assert self.small.get(id) == (self.model[first] if first else None)

    def teardown(self) -> None:
        self.small.close()
        self.folder.cleanup()


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
