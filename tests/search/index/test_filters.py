from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.core.expression import WhereError
from lykeion.search.index.filters import check, evaluate, parse
from lykeion.search.index.schema import Schema

from .strategies import TYPES, Filter, filters, rows

SCHEMA = Schema.from_json(TYPES)  # pyright: ignore


def matching(text: str, products: list[dict[str, Any]], schema: Schema = SCHEMA) -> list[bool]:
    return evaluate(parse(text), schema.to_table(schema.coerce(products, [""] * len(products))), schema).tolist()


@pytest.mark.slow
@settings(max_examples=500)
@given(st.lists(rows, max_size=12), filters())
def test_a_filter_matches_exactly_the_rows_that_sql_would(products: list[dict[str, Any]], asked: Filter) -> None:
    assert matching(asked.text, products) == [asked.truth(row) is True for row in products]


@given(st.lists(rows, min_size=2, max_size=12), filters(), st.data())
def test_chunks_and_slices_of_a_table_match_as_the_whole_does(
    products: list[dict[str, Any]], asked: Filter, data: st.DataObject
) -> None:
    import pyarrow as pa

    table = SCHEMA.to_table(SCHEMA.coerce(products, [""] * len(products)))
    cut = data.draw(st.integers(0, len(products) - 1))
    pieces = pa.concat_tables([table.slice(cut), table.slice(0, cut)])
    whole = evaluate(parse(asked.text), table, SCHEMA).tolist()
    assert evaluate(parse(asked.text), pieces, SCHEMA).tolist() == whole[cut:] + whole[:cut]


def test_a_column_missing_from_an_older_table_is_null_there() -> None:
    old = Schema({"price": "integer"})
    table = old.to_table([{"price": 3}, {}])
    new = Schema({"price": "number", "brand": "string"})
    assert evaluate(parse("brand is null and price < 3.5"), table, new).tolist() == [True, False]
    assert evaluate(parse("brand != 'x' or not brand = 'x'"), table, new).tolist() == [False, False]


def test_times_without_an_offset_are_utc() -> None:
    products = [{"since": datetime(2026, 1, 31, 12, tzinfo=UTC)}]
    assert matching("since = '2026-01-31T12:00'", products) == [True]
    assert matching("since >= '2026-02-01'", products) == [False]
    assert matching("since = '2026-01-31T13:00+01:00'", products) == [True]


def test_odd_column_names_stand_in_backticks_and_keywords_in_any_case() -> None:
    schema = Schema({"a `b\\": "integer", "größe": "integer", "size.eu": "integer", "and": "integer"})
    text = r"`a \`b\\` = 1 AND größe = 2 And size.eu = 3 and `and` IN (4)"
    assert matching(text, [{"a `b\\": 1, "größe": 2, "size.eu": 3, "and": 4}], schema) == [True]


def test_and_binds_more_tightly_than_or_and_not_than_and() -> None:
    products = [{"sold": True, "stock": 1}]
    assert matching("sold or sold and stock = 2", products) == [True]
    assert matching("not sold and stock = 2 or sold", products) == [True]


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("", "filter:", "empty"),
        ("price <", "character 8", "it ends"),
        ("price < 'x'", "character 1", 'cannot be compared with "x"'),
        ("stock = 1 and prise > 2", "character 15", "there are price"),
        ("name = 'x", "character 8", "unexpected"),
        ("price = 1 sold", "character 11", "expected one of: and · or"),
        ("tags = 'red'", "character 1", "contains"),
        ("name contains 'red'", "character 1", "for lists"),
        ("sold < true", "character 1", "no order"),
        ("price = null", "character 9", "null"),
        ("name = '\\q'", "character 8", "escape"),
        ("stock = 9223372036854775808", "character 9", "64 bits"),
        ("price = 1e999", "character 9", "too large"),
        ("since > 'yesterday'", "character 1", "ISO 8601"),
        ("name = '\ud800'", "character 1", "surrogate"),
        ("stock", "character 1", "cannot be compared with true"),
        ("not " * 65 + "sold", "filter:", "deeper than 64"),
        ("(" * 100 + "not " * 100 + "sold" + ")" * 100, "filter:", "deeper"),
        ("sold or " * 256 + "sold", "filter:", "257 conditions"),
        ("x" * 60_000, "character 1", "no column"),
        ("name = '" + "x" * 70_000 + "'", "filter", "at most 65,536"),
    ],
)
def test_an_error_is_one_line_that_says_where_and_why(text: str, place: str, why: str) -> None:
    with pytest.raises(WhereError) as error:
        check(parse(text), SCHEMA)
    assert place in str(error.value)
    assert why in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


PIECES = ["a", "1", "'x'", "(", ")", "and", "not", "in", "is", "null", ",", "`", "\\", "=", "<"]


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_no_text_causes_anything_but_a_where_error(text: str) -> None:
    message = ""
    try:
        check(parse(text), SCHEMA)
    except WhereError as error:
        message = str(error)
    assert "\n" not in message


def test_deep_brackets_alone_are_read_without_recursion() -> None:
    assert matching("(" * 20_000 + "sold" + ")" * 20_000, [{"sold": True}]) == [True]
