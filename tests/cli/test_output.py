"""Tables and JSON are data, whatever is in the data."""

import json
import sys

import click
import pytest

from lykeion.cli import app, main
from lykeion.cli.output import describe, print_json, print_table
from lykeion.core import NotFound

EVIL = "shoes\x1b[2J\u202e[/red]"


def test_no_cell_title_or_heading_of_a_table_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("product", EVIL), [(EVIL, [EVIL]), ((EVIL, "one\ntwo"), describe({EVIL: EVIL}))], title=EVIL)
    printed = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(printed)
    assert printed.count("\\u202e") == 7
    assert "one\\ntwo" in printed


def test_json_says_the_same_without_raw_controls(capsys: pytest.CaptureFixture[str]) -> None:
    for indent in (None, 1):
        print_json({"id": EVIL + "\x9b\x7f\udcff"}, indent=indent)
        printed = capsys.readouterr().out
        assert not {"\x1b", "\u202e", "\x9b", "\x7f", "\udcff"} & set(printed)
        assert json.loads(printed) == {"id": EVIL + "\x9b\x7f\udcff"}


@pytest.mark.parametrize("error", [NotFound(EVIL), click.BadParameter(EVIL), click.FileError(EVIL)], ids=repr)
def test_an_error_shows_what_it_quotes(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(type(app), "invoke", fail)
    monkeypatch.setattr(sys, "argv", ["lykeion", "nets", "list"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "\\u202e" in said
    assert "\x1b" not in said
