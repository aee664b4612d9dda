"""The write-ahead log: what goes in comes out, and damage is dropped or named by where it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lykeion.search.index import CorruptIndex, IndexFormatError, Photo
from lykeion.search.index.local.disk.log import Log, Operation
from tests.search.index.strategies import rows

from .indexes import open_local

DIMENSION = 3
HEADER = 12

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    kinds: list[Literal["upsert", "update", "delete"]] = ["upsert", "update", "delete"]
    kind = draw(st.sampled_from(kinds))
    ids = draw(st.lists(names, min_size=1, max_size=4))
    count = len(ids)
    named = st.lists(st.builds(Photo, names, names), min_size=count, max_size=count)
    numbers = st.floats(-1000, 1000, width=16)
    return Operation(
        kind,
        ids,
        draw(st.none() | named) if kind != "update" else None,
        draw(st.none() | st.lists(rows.map(_stored), min_size=count, max_size=count)) if kind != "delete" else None,
        np.array([[draw(numbers) for _ in range(DIMENSION)] for _ in ids], np.float16) if kind == "upsert" else None,
        draw(st.none() | st.just({"name": "string"})),
        draw(st.floats(0, 2e9)),
    )


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}


def _equal(left: Operation, right: Operation) -> bool:
    same_vectors = (left.vectors is None) == (right.vectors is None)
    if left.vectors is not None and right.vectors is not None:
        same_vectors = left.vectors.tobytes() == right.vectors.tobytes()
    return same_vectors and replace(left, vectors=None) == replace(right, vectors=None)


def _log(directory: Path) -> Log:
    Log.create(directory, 1)
    return Log(directory, 1, DIMENSION, np.dtype("float16"))


def _frames(directory: Path, count: int) -> list[int]:
    """Write this many frames; where each ends."""
    log, ends = _log(directory), []
    for number in range(count):
        vectors = np.full((1, DIMENSION), number, np.float16)
        log.append([Operation("upsert", [f"p{number}"], None, [{"n": number}], vectors)], durable=False)
        ends.append(log.position)
    log.close()
    return ends


def _read(directory: Path) -> list[str]:
    log = Log(directory, 1, DIMENSION, np.dtype("float16"))
    try:
        return [operation.ids[0] for operation in log.read_new()]
    finally:
        log.close()


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups=st.lists(st.lists(operations(), min_size=1, max_size=3), max_size=4))
def test_what_is_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[Operation]]
) -> None:
    directory = tmp_path_factory.mktemp("log")
    writer = _log(directory)
    follower = Log(directory, 1, DIMENSION, np.dtype("float16"))
    for group in groups:
        writer.append(group, durable=False)
        read = list(follower.read_new())
        assert len(read) == len(group)
        assert all(_equal(*pair) for pair in zip(read, group, strict=True))
        assert follower.position == writer.position == writer.size()
    assert list(writer.read_new()) == []
    writer.close()
    follower.close()


def test_a_log_cut_at_any_length_holds_the_whole_frames_before_the_cut(tmp_path: Path) -> None:
    ends = _frames(tmp_path, 3)
    path = tmp_path / "00000001.log"
    data = path.read_bytes()
    for length in range(HEADER, len(data) + 1):
        path.write_bytes(data[:length])
        assert _read(tmp_path) == [f"p{n}" for n, end in enumerate(ends) if end <= length]


def test_a_log_cut_within_its_header_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    _frames(tmp_path, 1)
    path = tmp_path / "00000001.log"
    data = path.read_bytes()
    for length in range(HEADER):
        path.write_bytes(data[:length])
        with pytest.raises(CorruptIndex, match=r"00000001\.log"):
            _read(tmp_path)


def test_a_flipped_byte_is_never_read_as_another_write(tmp_path: Path) -> None:
    """In the last frame it is as if the frame had never been acknowledged; before, it is named."""
    ends = _frames(tmp_path, 3)
    path = tmp_path / "00000001.log"
    data = path.read_bytes()
    for at in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            path.write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
            if at < ends[1]:
                with pytest.raises((CorruptIndex, IndexFormatError), match=r"00000001\.log"):
                    _read(tmp_path)
            else:
                assert _read(tmp_path) == ["p0", "p1"]


def test_what_a_crash_left_is_cut_and_written_over(tmp_path: Path) -> None:
    ends = _frames(tmp_path, 2)
    path = tmp_path / "00000001.log"
    path.write_bytes(path.read_bytes()[:-1])
    log = Log(tmp_path, 1, DIMENSION, np.dtype("float16"))
    assert len(list(log.read_new())) == 1
    log.drop_torn_end()
    assert path.stat().st_size == ends[0]
    log.append([Operation("delete", ["x"])], durable=True)
    log.close()
    assert _read(tmp_path) == ["p0", "x"]


def test_a_frame_that_is_being_written_while_it_is_read_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = _frames(tmp_path, 2)
    path = tmp_path / "00000001.log"
    data = path.read_bytes()
    path.write_bytes(data[: ends[0] - 1])
    log = Log(tmp_path, 1, DIMENSION, np.dtype("float16"))
    look: Callable[[Log, int], bool] = Log._whole_frame_after

    def look_once_the_writer_has_finished(log: Log, position: int) -> bool:
        path.write_bytes(data)
        return look(log, position)

    monkeypatch.setattr(Log, "_whole_frame_after", look_once_the_writer_has_finished)
    assert [operation.ids[0] for operation in log.read_new()] == ["p0", "p1"]
    log.close()


def test_an_append_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _log(tmp_path)
    log.append([Operation("delete", ["a"])], durable=True)

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", refuse, raising=False)
        patch.setattr("os.fsync", refuse)
        with pytest.raises(OSError, match="No space"):
            log.append([Operation("delete", ["b"])], durable=True)
    log.append([Operation("delete", ["c"])], durable=True)
    log.close()
    assert _read(tmp_path) == ["a", "c"]


def test_a_damaged_log_is_named_when_its_index_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with open_local(path, dimension=DIMENSION) as index:
        for number in range(3):
            index.upsert([str(number)], np.eye(DIMENSION, dtype=np.float32)[number : number + 1])
    log = path / "log" / "00000001.log"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    with pytest.raises(CorruptIndex, match=r"00000001\.log: damaged at byte \d+; .*restore"):
        open_local(path, "r")
