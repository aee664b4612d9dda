"""Every command ends with a code of docs/exit-codes.md."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lykeion.cli import app, main
from lykeion.core import TEMPORARY_CODE, Conflict, Interrupted, Invalid, NotFound, Refused, Unavailable, Unsupported
from lykeion.oci import ContentDamaged


def commands(group: click.Group, *words: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)


COMMANDS = list(commands(app))


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["lykeion", *words])
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_all_commands_are_found() -> None:
    assert {words[0] for words in COMMANDS} == set(app.list_commands(click.Context(app)))
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_wrong_option_is_2_and_help_is_0(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, *words, "--no-such-option") == 2
    assert "--no-such-option" in capsys.readouterr().err
    assert exit_code(monkeypatch, *words, "--help") == 0


@pytest.mark.parametrize("words", [(), ("no-such-command",), ("index", "no-such-command"), ("index",)], ids=" ".join)
def test_a_missing_or_unknown_command_is_2_or_help(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(monkeypatch, *words) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("nothing there"), 2),
        (Interrupted("stopped: all is kept"), 130),
        (KeyboardInterrupt(), 130),
        (click.ClickException("not so"), 2),
        (click.FileError("photo.jpg", "gone"), 2),
        (OSError(28, "No space left on device", "images/store"), 2),
        (OSError("nothing that says more"), 2),
    ],
    ids=repr,
)
def test_an_error_is_one_line_and_its_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(click.Group, "invoke", fail)
    assert exit_code(monkeypatch, "nets", "list") == code
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) <= 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("registry.example.com: connection refused"), 75),
        (Conflict("locked by another"), 75),
        (ContentDamaged("not what its digest says"), 75),
        (OSError(28, "No space left on device", "images/store"), 75),
        (Invalid("no name of a model"), 2),
        (Refused("registry.example.com: log in"), 2),
        (Unsupported("not here"), 2),
        (Interrupted("stopped: all is kept"), 130),
    ],
    ids=repr,
)
def test_who_runs_a_command_again_can_tell_errors_that_may_pass_from_others(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(click.Group, "invoke", fail)
    monkeypatch.setenv(TEMPORARY_CODE, "75")
    assert exit_code(monkeypatch, "nets", "list") == code


def test_the_table_lists_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith(("| 0", "| 2", "| 3", "| 1"))] == [
        "| 0",
        "| 2",
        "| 3",
        "| 130",
    ]
