"""A few products that represent a catalogue: of each category in turn, if an attribute gives categories."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice, zip_longest

from lykeion.search.index import Attributes

SAMPLED_ROWS = 512
"""Products examined to find the categories."""
_MAX_CATEGORIES = 20


def by_category(rows: Sequence[Attributes], count: int) -> tuple[str | None, list[int]]:
    """The attribute that gives categories, if any, and which ``count`` rows to show, grouped by category."""
    column = _category_column(rows)
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[str(row.get(column) or "") if column else ""].append(number)
    turns = (number for turn in zip_longest(*groups.values()) for number in turn if number is not None)
    shown = set(islice(turns, count))
    return column, [number for name in sorted(groups) for number in groups[name] if number in shown]


def _category_column(rows: Sequence[Attributes]) -> str | None:
    """Of the text attributes that most rows have and whose values repeat, the one with the most values."""
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str):
                values[name][value] += 1
    telling = {
        name: len(counts)
        for name, counts in values.items()
        if 2 <= len(counts) <= _MAX_CATEGORIES and counts.total() >= max(len(rows) / 2, 2 * len(counts))
    }
    return max(telling, key=lambda name: telling[name], default=None)
