import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.index import parse_value
from lykeion.search.ingest import SourceError
from lykeion.search.ingest.column_types import Inference, convert, parse_declaration


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20", ""], "integer"),
        (["1", "2.5"], "number"),
        (["1e3", "-0.5e-2"], "number"),
        (["true", "FALSE", ""], "boolean"),
        (["1", "true"], "string"),
        (["01", "2"], "string"),
        (["12345678901234567890"], "string"),
        (["1", "M"], "string"),
        (["nan"], "string"),
        (["1e999"], "string"),
        (["1_000"], "string"),
        (["٣"], "string"),
        (["", ""], "string"),
        ([], "string"),
    ],
)
def test_a_column_has_the_narrowest_type_that_loses_nothing(cells: list[str], kind: str) -> None:
    inference = Inference()
    for cell in cells:
        inference.see(cell)
    assert inference.kind == kind


@given(st.lists(st.text(max_size=8)))
def test_whatever_type_is_inferred_every_cell_can_be_read_as_it(cells: list[str]) -> None:
    inference = Inference()
    for cell in cells:
        inference.see(cell)
    for cell in cells:
        parse_value(cell, inference.kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x", "integer"), ("1.5", "integer"), ("inf", "number"), ("yes", "boolean"), ("soon", "timestamp")],
)
def test_a_cell_that_is_not_of_its_type_is_an_error(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_value(text, kind)  # type: ignore[arg-type]


def test_lists_are_separated_by_bars_and_times_without_a_zone_are_utc() -> None:
    assert parse_value("red | blue", "strings") == ["red", "blue"]
    assert parse_value("1|2.5", "numbers") == [1.0, 2.5]
    assert parse_value("2026-01-02T03:04", "timestamp") == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert parse_value("", "strings") is None


def test_json_values_take_the_declared_type() -> None:
    assert convert(7, "string") == "7"
    assert convert(True, "string") == "true"
    assert convert(7, "number") == 7.0
    assert convert("2026-01-02", "timestamp") == datetime(2026, 1, 2, tzinfo=UTC)
    assert convert("", "string") == ""
    assert convert(Decimal("1.50"), "string") == "1.50"
    assert convert(True, "number") is True  # for the index to refuse
    with pytest.raises(ValueError, match="an attribute is"):
        convert({"a": 1}, None)


@pytest.mark.parametrize("kind", [None, "number", "integer", "string"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_no_index_keeps_is_an_error_and_not_a_null(value: float, kind: Any) -> None:
    with pytest.raises(ValueError, match="NaN, infinity and numbers beyond"):
        convert(value, kind)


def test_an_integer_beyond_all_numbers_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"numbers beyond 1\.8e308"):
        convert(10**400, "number")


def test_a_declaration_that_cannot_be_read_lists_the_types() -> None:
    assert parse_declaration("a=b=number") == ("a=b", "number")
    for text in ("price", "price=float", "=number"):
        with pytest.raises(SourceError, match="string, integer, number"):
            parse_declaration(text)
