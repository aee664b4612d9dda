from typing import Any

import pytest

from lykeion.core.expression import WhereError
from lykeion.registry import order, select

ROWS: list[dict[str, Any]] = [
    {"version": "v1", "top1": 0.95, "latency_ms": 6, "device": "host", "aliases": ["champion"]},
    {"version": "v2", "top1": 0.91, "latency_ms": 4.5, "device": "host", "aliases": []},
    {"version": "v3", "top1": 0.89, "aliases": ["canary"]},
    {"version": "v4", "exact": True, "aliases": []},
]


def found(where: str) -> list[str]:
    return [row["version"] for row in select(ROWS, where, dict)]


@pytest.mark.parametrize(
    ("where", "versions"),
    [
        ('top1 > 0.9 and latency_ms < 5 and device = "host"', ["v2"]),
        ("top1 > 0.9 or latency_ms is null", ["v1", "v2", "v3", "v4"]),
        ("not top1 > 0.9", ["v3"]),  # v4 has none: neither true nor false
        ("not (top1 > 0.9 and latency_ms < 5)", ["v1", "v3"]),
        ("aliases contains 'canary'", ["v3"]),
        ("version in ('v1', 'v4')", ["v1", "v4"]),
        ("top1 between 0.9 and 0.92", ["v2"]),
        ("exact", ["v4"]),
        ("device is not null and latency_ms >= 6", ["v1"]),
    ],
)
def test_a_filter_finds(where: str, versions: list[str]) -> None:
    assert found(where) == versions


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("topl > 0.9", "top1"),
        ("top1 > 'high'", "cannot be compared"),
        ("top1 >", "ends"),
        ("top1 contains 1", "no list"),
        ("aliases = 'x'", "cannot be compared"),
    ],
)
def test_a_filter_that_does_not_fit_says_where(where: str, said: str) -> None:
    with pytest.raises(WhereError, match=said) as error:
        found(where)
    assert "character" in str(error.value)


def test_rows_are_sorted_by_a_field_and_those_without_come_last() -> None:
    assert [row["version"] for row in order(ROWS, "-top1", dict)] == ["v1", "v2", "v3", "v4"]
    assert [row["version"] for row in order(ROWS, "latency_ms", dict)] == ["v2", "v1", "v3", "v4"]
    assert [row["version"] for row in order(ROWS, "-version", dict)] == ["v4", "v3", "v2", "v1"]
    with pytest.raises(WhereError, match="top1"):
        order(ROWS, "top5", dict)
    assert order([], "top5", dict) == select([], "top5 > 1", dict) == []
