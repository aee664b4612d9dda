"""Printing untrusted text: terminal control characters and bidirectional overrides are shown escaped.

Names, attributes, titles and messages may come from a registry, a file or a server. Commands print by ``print_line``
and by the tables and JSON of ``lykeion.cli.output``, never by ``print``; the linter holds that (pyproject.toml).
"""

import logging
import re
import sys

_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, bidirectional overrides (Trojan Source) and lone surrogates."""


def visible(text: str) -> str:
    r"""The text in one line, with unsafe characters written as ``\x1b``, ``\n`` or ``\u202e``."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_json(document: str) -> str:
    """An equivalent JSON document in one line, with unsafe characters in its strings escaped."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def print_line(text: object, *, err: bool = False) -> None:
    """One line on standard output, or with ``err`` on standard error at once."""
    print(visible(str(text)), file=sys.stderr if err else sys.stdout, flush=err)


class VisibleFormatter(logging.Formatter):
    """For logs that people read; a message may have several lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(visible, super().format(record).split("\n")))
