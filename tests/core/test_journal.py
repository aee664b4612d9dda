"""What was appended to a journal is there after a crash, and what was cut short is not."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Invalid, Journal


class JournalError(Invalid):
    pass


def journal(path: Path) -> Journal:
    return Journal(path, JournalError, "journal of numbers")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(values=st.lists(VALUES, max_size=6), cut=st.integers(0, 400), more=VALUES)
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], cut: int, more: Any
) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    for value in values:
        journal(path).append(value)
    assert list(journal(path)) == values
    content = path.read_bytes()[:cut] if values else b""
    path.write_bytes(content)
    kept = values[: content.count(b"\n")]
    assert list(journal(path)) == kept
    journal(path).append(more)
    assert list(journal(path)) == [*kept, more]


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(journal(tmp_path / "deep" / "none.jsonl")) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1\n{\n2\n", r"a\.jsonl, line 2: not a journal of numbers: not JSON"),
        (b"1\nNaN\n", r"a\.jsonl, line 2: not a journal of numbers: not JSON"),
        (b"1\n\xff\n", r"a\.jsonl, line 2: not a journal of numbers: not JSON"),
        (b"1\n" + b"[" * 100_000 + b"\n", r"a\.jsonl, line 2: not a journal of numbers: not JSON"),
        (b'1\n"' + b"a" * (1 << 20), r"a\.jsonl, line 2: longer than 1 MiB"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(JournalError, match=problem) as caught:
        list(journal(tmp_path / "a.jsonl"))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_or_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot read the journal of numbers: Is a directory"):
        list(journal(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be written"):
        journal(tmp_path / "file" / "a.jsonl").append(1)


def test_reading_changes_nothing_so_that_another_process_may_be_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2")
    assert list(journal(path)) == [1]
    assert path.read_bytes() == b"1\n2"


APPEND = """
import sys
from pathlib import Path
from lykeion.core import Invalid, Journal
journal = Journal(Path(sys.argv[1]), Invalid)
number = int(sys.argv[2])
while True:
    journal.append({"number": number, "padding": "x" * (number * 997 % 20_000)})
    print(number, flush=True)
    number += 1
"""


def test_a_writer_killed_at_any_time_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    path, next_number = tmp_path / "a.jsonl", 0
    for kills in range(6):
        command = [sys.executable, "-c", APPEND, str(path), str(next_number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            said = [int(process.stdout.readline()) for _ in range(3 + 7 * kills)]
            process.kill()
            said += [int(line) for line in process.stdout]
        numbers = [value["number"] for value in journal(path)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > said[-1]
        next_number = len(numbers)


def _append(path: Path, writer: int) -> None:
    for number in range(30):
        journal(path).append([writer, number])


@pytest.mark.slow
def test_processes_append_to_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(path, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(journal(path)) == [[writer, number] for writer in range(3) for number in range(30)]
    assert all(json.loads(line) for line in path.read_bytes().splitlines())
