"""What came from outside is shown to people, and never obeyed by their terminals."""

import json
import logging
import unicodedata

import pytest

from lykeion.core import VisibleFormatter, print_line, visible, visible_json
from lykeion.core.reporting import ConsoleReporter

ESCAPES = ("\x1b]0;owned\x07", "\x9b31m", "\r", "\n", "\x00", "\x7f", "\u202e", "\u2066", "\u2028", "\udc80")


def is_safe(text: str) -> bool:
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text) and not any(
        unicodedata.bidirectional(letter) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for letter in text
    )


@pytest.mark.parametrize("escape", ESCAPES, ids=ascii)
def test_what_a_terminal_would_obey_is_shown_in_text_and_escaped_in_json(escape: str) -> None:
    assert is_safe(visible(f"shoes{escape}!"))
    document = json.dumps({escape: escape}, ensure_ascii=False)
    assert is_safe(visible_json(document))
    assert json.loads(visible_json(document)) == {escape: escape}


def test_every_character_is_safe_once_it_is_visible() -> None:
    assert is_safe(visible("".join(map(chr, range(0x110000)))))


def test_other_scripts_and_signs_stay_as_they_are() -> None:
    text = "Größe 42 · 靴 · کفش‌ها · 👩‍👩‍👧 · حذاء"
    assert visible(text) == text


def test_lines_errors_progress_and_logs_are_printed_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\x1b[2J\nerror: forged")
    print_line("b\x1b[2J", err=True)
    with ConsoleReporter(every_s=0).progress("c\x1b[2J") as progress:
        progress.advance()
    ConsoleReporter().notice("e\x1b[2J")
    out, err = capsys.readouterr()
    assert out == "a\\x1b[2J\\nerror: forged\n"
    assert "\x1b" not in err
    assert "b\\x1b[2J\n" in err
    assert "c\\x1b[2J: 1" in err
    record = logging.LogRecord("lykeion", logging.WARNING, "", 0, "move:\n%s", ("d\x1b[2J",), None)
    assert VisibleFormatter().format(record) == "move:\nd\\x1b[2J"
