"""Output of commands: one JSON document or a table on standard output; everything else goes to standard error."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from lykeion.core import print_line, visible, visible_json

_MIN_COLUMNS = 40
"""A narrower table would lose content; some programs report 0 for an unknown terminal."""


def print_json(value: object, *, indent: int | None = None) -> None:
    """Timestamps become ISO 8601 strings."""
    every_letter = sys.stdout.encoding.lower().startswith("utf")
    document = json.dumps(value, default=_plain, ensure_ascii=not every_letter, allow_nan=False, indent=indent)
    print("\n".join(map(visible_json, document.split("\n"))))  # noqa: T201


def print_result(as_json: bool, document: object, *lines: str) -> None:
    """Print the document as JSON, or else the lines."""
    if as_json:
        print_json(document)
        return
    for line in lines:
        print_line(line)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    err: bool = False,
) -> None:
    """Print a table for people; ``right`` names the right-aligned columns; a tuple is a cell with several lines.

    With ``err`` it goes to standard error.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(visible(title)) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(Text(visible(column)), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))  # Text: ids are data, not markup
    console = Console(stderr=err)
    console.width = max(console.width, _MIN_COLUMNS)
    with console.capture() as captured:  # else it would exit by itself if the reader of a pipe has gone
        console.print(table)
    print(captured.get(), end="", file=sys.stderr if err else sys.stdout)


def describe(attributes: Mapping[str, object]) -> str:
    """Attributes on one line: ``price 12.5 · colour red``."""
    return " · ".join(f"{name} {_shown(value)}" for name, value in attributes.items())


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "\n".join(map(_shown, value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.2f}"
    return visible(str(value))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"not for JSON: {type(value).__name__}")
