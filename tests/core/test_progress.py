"""Progress in a log: count, total, rate and time left, and silence where asked for."""

import pytest

from lykeion.core import Progress


def test_a_log_gets_lines_with_count_total_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("adding", 10, unit="photos", every=0) as progress:
        progress.advance(4)
        progress.advance(6)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("adding: 4 of 10, ")
    assert " photos/s, " in lines[0]
    assert lines[0].endswith(" s left")
    assert lines[-1].startswith("adding: 10 of 10, ")
    assert "left" not in lines[-1]


def test_an_unknown_total_has_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", every=0) as progress:
        progress.advance()
    assert "left" not in capsys.readouterr().err


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("adding", 10, every=0, quiet=True) as progress:
        progress.advance(10)
    assert capsys.readouterr().err == ""
