"""Columns of an index in a directory: dropped, renamed, given another type."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.core import NotFound
from lykeion.search.index import Index, IndexFormatError, LocalIndex, SchemaError, open_index

from .indexes import open_local

PRICES = ["12.50", "9", "1e2", "-3"]


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def attributes(index: Index) -> dict[str, dict[str, Any]]:
    return {id: row for rows in index.scan() for id, row in zip(rows.ids, rows.attributes, strict=True)}


@pytest.fixture
def index(tmp_path: Path) -> LocalIndex:
    """Prices as strings: in two segments, in what changed since, and in the log."""
    index = open_local(tmp_path / "shop.index", dimension=8, kernel="ivf", background=False)
    index.upsert([f"a{n}" for n in range(20)], vectors(20), [{"price": "12.50", "n": n} for n in range(20)])
    index.compact()
    index.upsert([f"b{n}" for n in range(4)], vectors(4, 1), [{"price": PRICES[n]} for n in range(4)])
    index.snapshot("monday")
    index.update(["a0", "b0"], [{"price": "7"}, {"brand": "Acme"}])
    index.delete(["a1"])
    index.upsert(["c"], vectors(1, 2), [{"price": "1.25", "brand": "Brand"}])
    return index


def test_a_column_of_strings_becomes_one_of_numbers_wherever_its_values_are(index: LocalIndex) -> None:
    assert index.retype_column("price", "number") == 0
    assert index.stats().columns == {"price": "number", "n": "integer", "brand": "string"}
    found = attributes(index)
    assert {id: found[id]["price"] for id in ("a0", "a2", "b0", "b2", "c")} == {
        "a0": 7.0, "a2": 12.5, "b0": 12.5, "b2": 100.0, "c": 1.25,
    }  # fmt: skip
    assert (index.count("price < 10"), index.count("price = 12.5")) == (4, 19)
    index.upsert(["d"], vectors(1, 3), [{"price": 3}])
    assert index.count("price < 10") == 5


def test_what_was_changed_is_on_disk_and_stays_through_compaction(index: LocalIndex) -> None:
    path = index.path
    index.retype_column("price", "number")
    index.rename_column("price", "cost")
    index.drop_column("brand")
    before = attributes(index)
    index.close()
    with open_local(path, "r") as reader:
        assert attributes(reader) == before
        assert reader.stats().columns == {"cost": "number", "n": "integer"}
        assert reader.verify() == []
    with open_local(path, "w", background=False) as writer:
        writer.compact(full=True)
        assert attributes(writer) == before
        assert writer.count("cost < 10") == 4


def test_vectors_and_kernels_stay_the_same_files(index: LocalIndex) -> None:
    path = index.path
    index.drop_snapshot("monday")
    index.compact(full=True)
    (before,) = (path / "segments").glob("*/vectors.bin")
    inode, answers = before.stat().st_ino, index.search(vectors(3, 5), 5, attributes=False)
    index.snapshot("kept")  # or the files would be free for others
    index.rename_column("price", "cost")
    (after,) = set((path / "segments").glob("*/vectors.bin")) - {before}
    assert after.stat().st_ino == inode
    assert (after.parent / "kernel" / "codes.bin").stat().st_ino == (before.parent / "kernel/codes.bin").stat().st_ino
    assert index.search(vectors(3, 5), 5, attributes=False) == answers
    assert index.stats().details["segments"][0]["kernel"] == "ivf"  # pyright: ignore


def test_without_clear_a_value_that_does_not_fit_stops_the_change_and_is_named(index: LocalIndex) -> None:
    index.upsert(["bad", "worse"], vectors(2, 3), [{"price": "12,50"}, {"price": "cheap"}])
    before = attributes(index)
    with pytest.raises(
        SchemaError, match=r"product 'bad' has .* '12,50' is not a number, and so have 1 other products"
    ):
        index.retype_column("price", "number")
    assert attributes(index) == before
    assert index.stats().columns["price"] == "string"
    assert index.retype_column("price", "number", clear=True) == 2
    assert {id for id, row in attributes(index).items() if "price" not in row} == {"bad", "worse"}
    assert index.count("price is null") == 2


def test_values_of_deleted_and_changed_rows_do_not_stop_a_change(index: LocalIndex) -> None:
    index.upsert(["bad", "mended"], vectors(2, 3), [{"price": "12,50"}, {"price": "cheap"}])
    index.compact(full=True)
    index.delete(["bad"])
    index.update(["mended"], [{"price": "8"}])
    assert index.retype_column("price", "number") == 0
    assert index.get(["mended"])[0].attributes == {"price": 8.0}  # pyright: ignore


def test_a_column_that_was_dropped_may_come_again_with_another_type(index: LocalIndex) -> None:
    index.drop_column("price")
    assert all("price" not in row for row in attributes(index).values())
    index.upsert(["d"], vectors(1, 3), [{"price": True}])
    assert index.stats().columns["price"] == "boolean"
    assert (index.count("price"), index.count("price is null")) == (1, 24)
    index.compact(full=True)
    assert (index.count("price"), index.count("price is null")) == (1, 24)


def test_a_column_is_renamed_and_back(index: LocalIndex) -> None:
    before = attributes(index)
    index.rename_column("price", "cost")
    assert index.count("cost = '12.50'") == 19
    index.upsert(["d"], vectors(1, 3), [{"price": 5}])
    index.delete(["d"])
    index.drop_column("price")
    index.rename_column("cost", "price")
    assert attributes(index) == before
    assert index.count("price = '12.50'") == 19


def test_a_segment_whose_removal_was_cut_off_can_come_again(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename and its undoing give the same segment, of which a crash may have left a part."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", _a_part_of)
        before = attributes(index)
        index.compact(full=True)
        index.rename_column("n", "m")
        index.compact()  # keeps no past manifest, so that nothing names the segment with a column n
        index.rename_column("m", "n")
    assert attributes(index) == before
    assert index.verify() == []
    index.close()
    with open_local(index.path, "r") as again:
        assert attributes(again) == before


def _a_part_of(directory: Path, **_: object) -> None:
    Path(directory, "segment.json").unlink(missing_ok=True)


def test_a_snapshot_keeps_the_columns_that_it_had(index: LocalIndex) -> None:
    index.retype_column("price", "number")
    index.restore("monday")
    assert index.stats().columns == {"price": "string", "n": "integer"}
    assert index.count("price = '12.50'") == 21


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda index: index.drop_column("prize"), NotFound, "no column 'prize'; its columns: price, n, brand"),
        (lambda index: index.rename_column("prize", "x"), NotFound, "no column"),
        (lambda index: index.rename_column("price", "n"), SchemaError, "has a column 'n' already"),
        (lambda index: index.rename_column("price", "_x"), SchemaError, "underscore"),
        (lambda index: index.retype_column("price", "float"), SchemaError, "'float' is no type of a column"),
        (lambda index: index.retype_column("price", "list"), SchemaError, "'list' is no type of a column"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    index: LocalIndex, change: Callable[[LocalIndex], object], error: type[Exception], message: str
) -> None:
    before = attributes(index)
    with pytest.raises(error, match=message):
        change(index)
    assert attributes(index) == before


def test_who_only_reads_changes_no_column(index: LocalIndex) -> None:
    path = index.path
    index.close()
    with open_local(path, "r") as reader, pytest.raises(IndexFormatError, match="open for reading only"):
        reader.drop_column("price")


def test_another_process_that_has_the_index_open_sees_the_change(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.search.index.local.replica._FOLLOW_S", 0.0)
    index.close()
    with open_index(index.path, "shared") as one, open_index(index.path, "shared") as other:
        assert other.count("price = '7'") == 1
        one.retype_column("price", "number")
        other.update(["a2"], [{"price": 6.5}])
        assert other.count("price < 10") == 5
        assert one.count("price = 6.5") == 1


@pytest.mark.parametrize(
    ("values", "kind", "wanted"),
    [
        ([1, 2**62], "string", ["1", str(2**62)]),
        ([1.5, 2.0, 1e300], "string", ["1.5", "2", "1e+300"]),
        ([1.0, 2.5, 1e300], "integer", [1, None, None]),
        ([True, False], "string", ["true", "false"]),
        (["TRUE", "yes"], "boolean", [True, None]),
        (["2026-01-02", "soon"], "timestamp", [datetime(2026, 1, 2, tzinfo=UTC), None]),
        ([datetime(2026, 1, 2, 3, 4, 5, 6, UTC)], "string", ["2026-01-02T03:04:05.000006+00:00"]),
        (["red|blue", "1"], "strings", [["red", "blue"], ["1"]]),
        ([["1", "2.5"], ["x"], [], [""]], "numbers", [[1.0, 2.5], None, [], None]),
        ([["", "a"]], "strings", [["", "a"]]),
        ([""], "string", [""]),
        ([[1.0, 2.5], []], "strings", [["1", "2.5"], []]),
        ([["red", "blue"]], "string", ["red|blue"]),
        (["9223372036854775808", "nan", "1e400"], "integer", [None, None, None]),
        (["1e400", "nan", ""], "number", [None, None, None]),
        (["same"], "string", ["same"]),
    ],
)
def test_a_value_becomes_the_one_of_the_same_text_or_null(
    tmp_path: Path, values: list[Any], kind: Any, wanted: list[Any]
) -> None:
    with open_local(tmp_path / "i", dimension=8) as index:
        ids = [str(n) for n in range(len(values))]
        index.upsert(ids, vectors(len(ids)), [{"x": value} for value in values])
        lost = index.retype_column("x", kind, clear=True)
        found = [product.attributes.get("x") for product in index.get(ids) if product]
        assert found == wanted
        assert [type(value) for value in found] == [type(value) for value in wanted]
        assert lost == sum(value is None and values[n] != "" for n, value in enumerate(wanted))


IDS = st.sampled_from(["a", "b", "c", "d"])
NAMES = st.sampled_from(["x", "y", "z"])
ROWS = st.dictionaries(NAMES, st.none() | st.integers(0, 3) | st.sampled_from(["1", "2.5", "word"]), max_size=3)
KINDS = st.sampled_from(["string", "integer", "number"])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("upsert"), IDS, ROWS)
        | st.tuples(st.just("update"), IDS, ROWS)
        | st.tuples(st.just("delete"), IDS, st.none())
        | st.tuples(st.just("compact"), st.none(), st.none())
        | st.tuples(st.just("drop"), NAMES, st.none())
        | st.tuples(st.just("rename"), NAMES, NAMES)
        | st.tuples(st.just("retype"), NAMES, KINDS),
        max_size=25,
    )
)
def test_whatever_is_done_the_index_holds_what_a_dictionary_does(steps: list[tuple[str, Any, Any]]) -> None:
    products: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        index = open_local(Path(folder) / "i", dimension=8, durability="os", background=False)
        for step, what, how in steps:
            with suppress(NotFound, SchemaError):  # which change nothing
                match step:
                    case "upsert":
                        index.upsert([what], vectors(1), [how])
                        products[what] = dict(how)
                    case "update":
                        index.update([what], [how])
                        if what in products:
                            products[what].update(how)
                    case "delete":
                        index.delete([what])
                        products.pop(what, None)
                    case "compact":
                        index.compact(full=True)
                    case "drop":
                        index.drop_column(what)
                        for row in products.values():
                            row.pop(what, None)
                    case "rename":
                        index.rename_column(what, how)
                        for row in products.values():
                            if what in row:
                                row[how] = row.pop(what)
                    case _:
                        index.retype_column(what, how, clear=True)
                        for row in products.values():
                            row[what] = _retyped(row.get(what), how)
            kept = {id: {n: v for n, v in row.items() if v is not None} for id, row in products.items()}
            assert attributes(index) == kept
            for name, kind in index.stats().columns.items():
                values = [row[name] for row in kept.values() if name in row]
                assert index.count(f"{name} is not null") == len(values)
                if kind == "string":
                    assert index.count(f"{name} = 'word'") == values.count("word")
                else:
                    assert index.count(f"{name} >= 2") == sum(value >= 2 for value in values)
        index.close()
        with open_local(Path(folder) / "i", "r") as reader:
            assert attributes(reader) == kept if steps else not attributes(reader)


def _retyped(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "string":
        return f"{value:g}" if isinstance(value, float) else str(value)
    if value == "word" or (kind == "integer" and float(value) == 2.5):
        return None
    return float(value) if kind == "number" else int(value)
