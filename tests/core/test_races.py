"""Two processes with one file, wherever the first is between looking and acting."""

import json
from pathlib import Path

from lykeion.core import Invalid, Journal, claim_run, write_atomically
from tests.interleaving import Meeting, meet_at_every_act


class RaceError(Invalid):
    pass


def test_two_replace_one_file(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        path = tmp_path / str(number) / "file"

        def check() -> None:
            assert path.read_bytes() in (b"first", b"second")
            assert [*path.parent.iterdir()] == [path]

        return Meeting(lambda: write_atomically(path, b"first"), lambda: write_atomically(path, b"second"), check)

    assert meet_at_every_act(prepare) > 2


def test_two_append_to_one_journal(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        path = tmp_path / str(number) / "journal.jsonl"

        def check() -> None:
            assert sorted(Journal(path, RaceError)) == [1, 2]

        return Meeting(lambda: Journal(path, RaceError).append(1), lambda: Journal(path, RaceError).append(2), check)

    assert meet_at_every_act(prepare) > 2


def test_a_journal_is_removed_while_it_is_appended_to(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        journal = Journal(tmp_path / str(number) / "journal.jsonl", RaceError)
        journal.append(1)

        def check() -> None:
            assert list(journal) in ([], [2])

        return Meeting(lambda: journal.append(2), journal.remove, check)

    assert meet_at_every_act(prepare) > 2


def test_of_two_that_begin_a_journal_one_writes_its_first_line(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        journal = Journal(tmp_path / str(number) / "journal.jsonl", RaceError)

        def begin() -> None:
            if not list(journal):
                journal.append("first", first=True)
            journal.append("next")

        def check() -> None:
            assert list(journal) == ["first", "next", "next"]

        return Meeting(begin, begin, check)

    assert meet_at_every_act(prepare) > 2


def test_of_two_requests_one_has_the_run_directory(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        file = tmp_path / str(number) / "request.json"
        refused: list[str] = []

        def claim(name: str) -> None:
            try:
                claim_run(file, "search", {"name": name}, RaceError)
            except RaceError:
                refused.append(name)

        def check() -> None:
            assert [json.loads(file.read_bytes())["name"], *refused] in (["a", "b"], ["b", "a"])

        return Meeting(lambda: claim("a"), lambda: claim("b"), check)

    assert meet_at_every_act(prepare) > 2
