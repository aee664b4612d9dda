"""Filters over versions: ``top1 > 0.9 and latency_ms < 5 and device = "host"``, read by ``core.grammar``.

Fields are the metrics, and ``name``, ``version``, ``digest``, ``size_bytes`` and the list ``aliases``. As in SQL, a
comparison with a missing metric is neither true nor false.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lykeion.core.expression import Expression, WhereError, leaves
from lykeion.core.matching import Fields, matches

Row = TypeVar("Row")


def select(rows: Sequence[Row], where: str, fields: Callable[[Row], Fields]) -> list[Row]:
    """The rows for which a filter is true. Raises WhereError, also for a field that no row has."""
    from lykeion.core.grammar import parse

    expression = parse(where)
    known = {name for row in rows for name in fields(row)}
    if rows:
        _check(expression, known)
    return [row for row in rows if matches(expression, fields(row))]


def order(rows: Sequence[Row], by: str, fields: Callable[[Row], Fields]) -> list[Row]:
    """Rows sorted by a field, descending with a leading minus; rows without the field come last. Raises
    WhereError."""
    name, downwards = by.removeprefix("-"), by.startswith("-")
    if rows and all(name not in fields(row) for row in rows):
        raise WhereError(_unknown(name, {key for row in rows for key in fields(row)}))
    having = [row for row in rows if name in fields(row)]
    lacking = [row for row in rows if name not in fields(row)]
    numbers = all(isinstance(fields(row)[name], int | float) for row in having)
    key: Callable[[Row], Any] = (lambda row: fields(row)[name]) if numbers else (lambda row: str(fields(row)[name]))
    return [*sorted(having, key=key, reverse=downwards), *lacking]


def _check(expression: Expression, known: set[str]) -> None:
    for leaf in leaves(expression):
        if leaf.column not in known:
            raise WhereError(f"filter, character {leaf.at}: {_unknown(leaf.column, known)}")


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, 3) or sorted(known)[:12]
    return f"no version has {name[:60]!r}; there is {', '.join(near)}"
