"""Progress and notices: lines in a log, a bar on a terminal, and silence where asked for."""

import pytest

from lykeion.core import SILENT, ConsoleReporter

OFTEN = ConsoleReporter(every_s=0)


def test_a_log_gets_lines_with_count_total_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with OFTEN.progress("adding", 10, unit="photos") as progress:
        progress.advance(4)
        progress.advance(6)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("adding: 4 of 10, ")
    assert " photos/s, " in lines[0]
    assert lines[0].endswith(" s left")
    assert lines[-1].startswith("adding: 10 of 10, ")
    assert "left" not in lines[-1]


def test_an_unknown_total_has_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with OFTEN.progress("reading") as progress:
        progress.advance()
    assert "left" not in capsys.readouterr().err


def test_a_total_that_is_set_later_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with OFTEN.progress("reading") as progress:
        progress.total = 3
        progress.advance()
    assert capsys.readouterr().err.startswith("reading: 1 of 3, ")


def test_a_notice_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    OFTEN.notice("two files are no photos")
    assert capsys.readouterr() == ("", "two files are no photos\n")


def test_the_silent_reporter_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SILENT.progress("adding", 10) as progress:
        progress.advance(10)
    SILENT.notice("two files are no photos")
    assert capsys.readouterr() == ("", "")
