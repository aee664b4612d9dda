from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.index.errors import SchemaError
from lykeion.search.index.schema import (
    MAX_COLUMNS,
    MAX_LIST_LENGTH,
    MAX_TEXT_BYTES,
    Schema,
    decode_attributes,
    encode_attributes,
)
from lykeion.search.index.segment.table_rows import TableRows

from .strategies import TYPES, rows

SCHEMA = Schema.from_json(TYPES)  # pyright: ignore


def kept(products: list[dict[str, Any]], schema: Schema = SCHEMA) -> list[dict[str, Any]]:
    ids = [f"p{n}" for n in range(len(products))]
    return schema.extended(products, ids).coerce(products, ids)


def without_nulls(products: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in products]


@given(st.lists(rows))
def test_rows_come_back_from_arrow_as_they_went_in(products: list[dict[str, Any]]) -> None:
    table = SCHEMA.to_table(kept(products))
    read = TableRows(table)
    assert [read[n] for n in range(len(products))] == without_nulls(products)


@given(st.lists(rows, min_size=3), st.data())
def test_rows_come_back_from_slices_and_joined_tables(products: list[dict[str, Any]], data: st.DataObject) -> None:
    table = SCHEMA.to_table(kept(products))
    cut = data.draw(st.integers(0, len(products)))
    read = TableRows(pa.concat_tables([table.slice(cut), table]))
    assert [read[n] for n in range(len(products) - cut + len(products))] == without_nulls(products[cut:] + products)
    piece = TableRows(table.slice(cut))
    assert [piece[n] for n in range(len(products) - cut)] == without_nulls(products[cut:])


@given(rows)
def test_a_row_comes_back_from_the_log_exactly(row: dict[str, Any]) -> None:
    (stored,) = kept([row])
    read = decode_attributes(encode_attributes(stored).encode())
    assert read == stored
    assert {name: type(value) for name, value in read.items()} == {n: type(v) for n, v in stored.items()}


def test_columns_are_inferred_and_survive_json() -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    row = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": moment, "f": [], "g": ["x"], "h": [1, 2.5], "i": None}
    schema = Schema().extended([row], ["p"])
    expected = ["string", "integer", "number", "boolean", "timestamp", "list", "strings", "numbers"]
    assert schema.to_json() == dict(zip("abcdefgh", expected, strict=True))
    assert Schema.from_json(schema.to_json()) == schema
    assert schema.coerce([row], ["p"])[0]["e"] == moment


def test_integers_widen_to_numbers_and_empty_lists_to_what_comes() -> None:
    first = Schema().extended([{"price": 3, "tags": []}], ["a"])
    table = first.to_table([{"price": 3, "tags": []}])
    widened = first.extended([{"price": 2.5, "tags": ["x"]}], ["b"])
    assert widened.to_json() == {"price": "number", "tags": "strings"}
    assert widened.column(table, "price").to_pylist() == [3.0]
    assert widened.column(table, "tags").to_pylist() == [[]]
    assert widened.extended([{"price": 4, "tags": []}], ["c"]) is widened
    assert widened.coerce([{"price": 4}], ["c"]) == [{"price": 4.0}]


def test_widening_rounds_what_a_float_cannot_hold() -> None:
    rows = [{"n": 2**60 + 1}]
    schema = Schema({"n": "number"})
    assert schema.column(Schema({"n": "integer"}).to_table(rows), "n").to_pylist() == [2.0**60]
    assert schema.to_table(rows)["n"].to_pylist() == [2.0**60]


def test_a_conflict_names_the_product_the_column_and_both_types() -> None:
    with pytest.raises(SchemaError, match=r"product 'b': attribute 'price' .*integer.*'cheap'.*string"):
        Schema().extended([{"price": 3}, {"price": "cheap"}], ["a", "b"])


@pytest.mark.parametrize(
    ("first", "second"), [(True, 1), (1, True), ("1", 1), (["a"], [1]), (["a"], "a"), ([1], [True])]
)
def test_types_are_not_guessed_across(first: Any, second: Any) -> None:
    with pytest.raises(SchemaError):
        Schema().extended([{"x": first}, {"x": second}], ["a", "b"])


def test_a_declared_timestamp_reads_iso_strings() -> None:
    schema = Schema({"since": "timestamp"})
    assert kept([{"since": "2026-01-01T01:00+01:00"}], schema) == [{"since": datetime(2026, 1, 1, tzinfo=UTC)}]
    with pytest.raises(SchemaError, match="timestamp"):
        kept([{"since": "yesterday"}], schema)


def test_numpy_scalars_are_values() -> None:
    row = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": [np.int32(1)], "e": np.str_("x")}
    (stored,) = kept([row], Schema())
    assert stored == {"a": 0.5, "b": 3, "c": True, "d": [1.0], "e": "x"}
    assert [type(value) for value in stored.values()] == [float, int, bool, list, str]
    assert decode_attributes(encode_attributes(stored)) == stored


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [1.0, float("nan")],
        2**63,
        -(2**63) - 1,
        [2**53 + 1],
        "x" * (MAX_TEXT_BYTES + 1),
        "é" * (MAX_TEXT_BYTES // 2 + 1),
        ["x" * 1024] * 33,
        [""] * (MAX_LIST_LENGTH + 1),
        "\ud800",
        ["\ud800"],
        datetime(2026, 1, 1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        {"a": 1},
        [["a"]],
        [None],
        ["a", 1],
        b"bytes",
        object(),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_beyond_the_limits_are_refused_by_name(value: Any) -> None:
    with pytest.raises(SchemaError, match="product 'p0': attribute 'x'") as error:
        kept([{"x": value}], Schema())
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["", "_id", "x" * 129, "a\nb", "\ud800", 3], ids=repr)
def test_names_that_cannot_be_columns_are_refused(name: Any) -> None:
    with pytest.raises(SchemaError):
        Schema().extended([{name: 1}], ["a"])


def test_the_number_of_columns_is_limited() -> None:
    with pytest.raises(SchemaError, match=str(MAX_COLUMNS)):
        Schema().extended([{f"c{n}": 1 for n in range(MAX_COLUMNS + 1)}], ["a"])


def test_a_schema_without_columns_still_counts_rows() -> None:
    assert len(Schema().to_table([{}, {}])) == 2
