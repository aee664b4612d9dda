"""Logs take a bounded part of the disk, lose no output while they are cut, and are read across the cut."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.platform.local.processes.output_log import KEPT_BYTES, LIMIT_BYTES, last_lines, read_log, trim_log

linux = pytest.mark.skipif(sys.platform != "linux", reason="makes holes in files")


def _read(path: Path, offset: int = 0) -> bytes:
    found = b""
    while (read := read_log(path, offset))[1]:
        offset, lines = read
        found += lines
    return found


def _lines(first: int, last: int) -> bytes:
    return b"".join(b"%079d\n" % number for number in range(first, last))


@linux
def test_a_large_log_is_cut_and_what_its_program_writes_meanwhile_is_kept(tmp_path: Path) -> None:
    path, count = tmp_path / "log", LIMIT_BYTES // 80 + 1000
    with path.open("ab", buffering=0) as program:
        program.write(_lines(0, count))
        trim_log(path)
        program.write(_lines(count, count + 10))
        trim_log(path)
    assert path.stat().st_blocks * 512 <= KEPT_BYTES + (1 << 16)
    kept = _read(path)
    assert kept.endswith(_lines(count - 1, count + 10))
    first = int(kept.partition(b"\n")[0])
    assert kept == _lines(first, count + 10)
    assert len(kept) >= KEPT_BYTES - (1 << 16)


@linux
def test_who_follows_a_log_reads_on_across_a_cut(tmp_path: Path) -> None:
    path, count = tmp_path / "log", LIMIT_BYTES // 80 + 1000
    path.write_bytes(_lines(0, count))
    offset, seen = read_log(path, 0)
    end = path.stat().st_size
    trim_log(path)
    assert seen.startswith(_lines(0, 800))
    assert _read(path, offset).endswith(_lines(count - 100, count))
    with path.open("ab") as program:
        program.write(b"more\n")
    assert read_log(path, end) == (end + 5, b"more\n")


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb")
    trim_log(path)
    assert _read(path) == b"a\nb"
    assert read_log(path, 3) == (3, b"")
    assert read_log(tmp_path / "none", 0) == (0, b"")
    trim_log(tmp_path / "none")


@given(st.lists(st.text("ab", max_size=5), max_size=8), st.booleans(), st.integers(0, 9))
def test_the_last_lines_are_those_of_the_log(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ended: bool, count: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "log"
    text = "\n".join(lines) + "\n" * (ended and bool(lines))
    path.write_text(text)
    expected = "".join(text.splitlines(keepends=True)[-count:] if count else ())
    assert text[last_lines(path, count) :] == expected
