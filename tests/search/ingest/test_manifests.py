import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.index import SchemaError
from lykeion.search.ingest import Failure, ListedPhoto, SourceError, open_source


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def items(path: Path, **options: Any) -> list[ListedPhoto]:
    entries = list(open_source(path, **options))
    assert all(isinstance(entry, ListedPhoto) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, ListedPhoto)]


def failures(path: Path, **options: Any) -> list[Failure]:
    entries = list(open_source(path, **options))
    assert all(isinstance(entry, Failure) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Failure)]


def test_a_csv_row_is_a_photo_with_typed_attributes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "shop.csv",
        "id,path,price,stock,sold,size,code\nA1,shoes/1.jpg,12.50,3,true,M,007\nA2,shoes/2.jpg,9,,FALSE,38,123\n",
    )
    first, second = items(path)
    assert first == ListedPhoto(
        "A1",
        "shoes/1.jpg",
        tmp_path / "shoes" / "1.jpg",
        {"price": 12.5, "stock": 3, "sold": True, "size": "M", "code": "007"},
    )
    assert second.attributes == {"price": 9.0, "stock": None, "sold": False, "size": "38", "code": "123"}


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "shop.csv", "id,path\n007,a.jpg\n1e3,b.jpg\n")
    assert [(item.id, item.attributes) for item in items(path)] == [("007", None), ("1e3", None)]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_csv_may_be_separated_by_comma_semicolon_or_tab_and_begin_with_a_mark(tmp_path: Path, mark: str) -> None:
    text = f'\ufeffid{mark} photo{mark}name\n1{mark}a.jpg{mark}"Shoe{mark} ""red""\nnew"\n'
    assert items(write(tmp_path / "a.csv", text))[0].attributes == {"name": f'Shoe{mark} "red"\nnew'}


def test_declared_types_hold_and_a_cell_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    path = write(
        tmp_path / "shop.csv",
        "id,path,price,since,tags,size\n1,a.jpg,3,2026-01-02,red|blue,38\n2,b.jpg,cheap,,,39\n",
    )
    types: Any = {"price": "number", "since": "timestamp", "tags": "strings", "size": "string"}
    good, bad = open_source(path, types=types)
    assert isinstance(good, ListedPhoto)
    assert good.attributes == {
        "price": 3.0,
        "since": datetime(2026, 1, 2, tzinfo=UTC),
        "tags": ["red", "blue"],
        "size": "38",
    }
    assert bad == Failure("2", "b.jpg", "b.jpg", "price: 'cheap' is not a number")


def test_rows_of_one_id_are_photos_of_one_product(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": 7, "path": "a.jpg", "price": 3}\n\n{"id": 7, "path": "b.jpg"}\n')
    assert [(item.id, item.photo, item.attributes) for item in items(path)] == [
        ("7", "a.jpg", {"price": 3}),
        ("7", "b.jpg", None),
    ]


def test_the_photo_is_in_the_first_of_photo_path_url(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "url,id,path\nhttps://shop.example/1,1,a.jpg\n")
    (item,) = items(path)
    assert (item.photo, item.attributes) == ("a.jpg", {"url": "https://shop.example/1"})
    path = write(tmp_path / "b.csv", "url,id\nhttps://shop.example/1.jpg,1\n")
    assert items(path)[0].location == "https://shop.example/1.jpg"


@pytest.mark.parametrize(
    "photo", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "link/secret.jpg", "linked.jpg"]
)
def test_no_path_leaves_the_manifests_folder(tmp_path: Path, photo: str) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path, target_is_directory=True)
    (folder / "linked.jpg").symlink_to(tmp_path / "secret.jpg")
    path = write(folder / "a.jsonl", json.dumps({"id": "1", "path": photo}))
    (failure,) = failures(path)
    assert failure.id == "1"
    assert "the path leaves" in failure.cause


def test_a_wider_root_allows_absolute_paths_below_it(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    path = write(
        tmp_path / "lists" / "a.jsonl", f'{{"id":"1","path":"{tmp_path}/a.jpg"}}\n{{"id":"2","path":"b.jpg"}}'
    )
    assert [item.location for item in items(path, root=tmp_path)] == [tmp_path / "a.jpg", tmp_path / "b.jpg"]


@pytest.mark.parametrize("photo", ["file:///etc/passwd", "ftp://host/a.jpg", "s3://bucket/a.jpg", "FILE://x"])
def test_only_http_urls_are_fetched(tmp_path: Path, photo: str) -> None:
    (failure,) = failures(write(tmp_path / "a.jsonl", json.dumps({"id": "1", "url": photo})))
    assert "only http:// and https://" in failure.cause


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"path": "a.jpg"}', "the id must be a string or an integer, not NoneType"),
        ('{"id": 1.5, "path": "a.jpg"}', "the id must be a string or an integer, not float"),
        ('{"id": true, "path": "a.jpg"}', "the id must be a string or an integer, not bool"),
        ('{"id": "", "path": "a.jpg"}', "the id is empty"),
        ('{"id": "\\ud800", "path": "a.jpg"}', "the id is not valid UTF-8: it holds half a character"),
        ('{"id": "1", "path": "\\ud800.jpg"}', "product '1': the photo's name is not valid UTF-8"),
        ('{"id": "1", "url": "http://h/' + "x" * 1100 + '"}', "product '1': the photo's name has 1,109 bytes"),
        ('{"id": "1"}', "product '1': no photo is given"),
        ('{"id": "1", "path": 3}', "product '1': no photo is given"),
        ('{"id": "1", "path": "a\\u0000.jpg"}', "this path cannot be"),
        ('{"id": "1", "path": "a.jpg", "size": {"eu": 38}}', "size: an attribute is a string"),
        ('{"id": "1", "path": "a.jpg", "price": NaN}', "price: NaN, infinity"),
        ('{"id": "1", "path": "a.jpg", "price": -Infinity}', "price: NaN, infinity"),
        ('{"id": "1", "path": "a.jpg", "price": 1e400}', "price: NaN, infinity and numbers beyond 1.8e308"),
    ],
)
def test_a_bad_json_line_is_a_failure_and_the_rest_goes_on(tmp_path: Path, line: str, cause: str) -> None:
    row = '{"id": "2", "path": "b.jpg"}\n'
    first, bad, last = open_source(write(tmp_path / "a.jsonl", f"{row}{line}\n{row}"))
    assert isinstance(bad, Failure)
    assert bad.cause.startswith(cause)
    assert isinstance(first, ListedPhoto)
    assert first == last


@pytest.mark.parametrize("text", ['[{"id": "1", "path": "a.jpg"}]', '\ufeff\n [\n  {\n    "id": "1"', "[]"])
def test_a_json_array_is_refused_as_such(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"a\.jsonl is a JSON array; write one object a line"):
        list(open_source(write(tmp_path / "a.jsonl", text)))


def test_the_lines_of_a_manifest_are_counted_also_without_an_end_of_line(tmp_path: Path) -> None:
    assert open_source(write(tmp_path / "a.jsonl", '{"id": "1"}\n\n{"id": "2"}')).count() == 2


def test_cells_are_trimmed_as_headers_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id , path, brand,price \n A1 , a.jpg,  Acme , 3\nA2,b.jpg, ,\n , ,,\n")
    assert [(item.id, item.photo, item.attributes) for item in items(path)] == [
        ("A1", "a.jpg", {"brand": "Acme", "price": 3}),
        ("A2", "b.jpg", {"brand": None, "price": None}),
    ]


@pytest.mark.parametrize("lead", ["", "\n"])
def test_the_index_that_pandas_writes_on_the_left_is_passed_over(tmp_path: Path, lead: str) -> None:
    (item,) = items(write(tmp_path / "a.csv", f"{lead},id,path,price\n0,A1,a.jpg,3\n"))
    assert (item.id, item.attributes) == ("A1", {"price": 3})


def test_another_column_without_a_name_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the column after 'path' has no name; name or remove it"):
        list(open_source(write(tmp_path / "a.csv", "id,path,,price\n1,a.jpg,x,3\n")))


def test_a_json_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": "' + "x" * (2 << 20))
    with pytest.raises(SourceError, match=r"a\.jsonl:1: the line is longer than"):
        list(open_source(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a column id"),
        ("name,path\n1,a.jpg\n", "needs a column id and one of photo, path, url; it has name, path"),
        ("id,price\n", "needs a column id"),
        ("id,path,a,a\n", "twice"),
        ('id,path\n1,a.jpg\n2,"b.jpg\n', "not CSV"),
        ("id,path\n1,a.jpg\n2," + "x" * 200_000 + "\n", "a.csv:3: not CSV"),
    ],
)
def test_a_table_that_is_no_manifest_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list(open_source(write(tmp_path / "a.csv", text)))


def test_latin_1_is_refused_and_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id,path,name\n1,a.jpg,Schöneberg\n".encode("latin-1"))
    with pytest.raises(SourceError, match="not UTF-8; save the manifest as UTF-8"):
        list(open_source(tmp_path / "a.csv"))


def test_an_attribute_name_that_no_index_takes_is_refused_before_any_photo(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="_price"):
        list(open_source(write(tmp_path / "a.csv", "id,path,_price\n1,a.jpg,3\n")))
    with pytest.raises(SourceError, match="no column weight"):
        list(open_source(write(tmp_path / "a.csv", "id,path\n"), types={"weight": "number"}))


def warnings(path: Path, columns: dict[str, Any] | None = None, **options: Any) -> list[str]:
    return open_source(path, **options).fit(columns or {})


def test_a_column_of_numbers_that_one_cell_makes_text_is_warned_of(tmp_path: Path) -> None:
    text = 'id,path,price,size,name\n1,a.jpg,9.50,38,"x"\n2,b.jpg,"12,50",M,1\n3,c.jpg,,39,"y"\n4,d.jpg,1,L,z\n'
    path = write(tmp_path / "a.csv", text)
    assert warnings(path) == [
        f"{path}: price is read as text, for 1 of its 3 cells are no numbers: first '12,50' in line 3; correct them, "
        "or declare --type price=string"
    ]
    assert warnings(path, types={"price": "string"}) == []


def test_a_column_that_the_index_has_is_read_as_of_its_type(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "id,path,price,code,since,stock\n1,a.jpg,9.50,7,2026-01-02,1.5\n2,b.jpg,x,8,,2\n"
    )
    source = open_source(path)
    source.fit({"price": "number", "code": "string", "since": "timestamp", "stock": "integer", "other": "boolean"})
    good, bad = source
    assert isinstance(good, ListedPhoto)
    since = datetime(2026, 1, 2, tzinfo=UTC)
    assert good.attributes == {"price": 9.5, "code": "7", "since": since, "stock": 1.5}
    assert bad == Failure("2", "b.jpg", "b.jpg", "price: 'x' is not a number")


def test_numbers_for_a_column_of_strings_are_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,path,net price\n1,a.jpg,9.50\n")
    (warning,) = warnings(path, {"net price": "string"})
    assert "lykeion index column 'net price' --retype number changes it" in warning
    assert warnings(path, {"net price": "string"}, types={"net price": "string"}) == []


def test_a_declared_type_that_the_index_cannot_take_is_refused_before_any_row(tmp_path: Path) -> None:
    for name, text in (("a.csv", "id,path,price\n1,a.jpg,9\n"), ("a.jsonl", '{"id": "1", "path": "a.jpg"}')):
        path = write(tmp_path / name, text)
        with pytest.raises(
            SourceError, match=r"the index has it as string; .* lykeion index column price --retype number"
        ):
            warnings(path, {"price": "string"}, types={"price": "number"})
        assert warnings(path, {"price": "integer"}, types={"price": "number"}) == []


def test_a_ragged_row_fails_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,path,price\n1,a.jpg\n2,b.jpg,3\n")
    bad, good = open_source(path)
    assert bad == Failure("", "", f"{path}:2", "the row has 2 cells, the header 3")
    assert isinstance(good, ListedPhoto)
    assert good.attributes == {"price": 3}


def test_parquet_brings_its_own_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2],
            "path": pa.array(["a.jpg", "b.jpg"]).dictionary_encode(),
            "price": pa.array([Decimal("1.25"), None]),
            "since": [datetime(2026, 1, 2, 3), None],
            "day": [date(2026, 1, 2), None],
            "tags": [["red"], None],
            "score": [None, 2.5],
            "__index_level_0__": [0, 1],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = items(tmp_path / "a.parquet")
    assert (first.id, first.photo) == ("1", "a.jpg")
    assert first.attributes == {
        "price": 1.25,
        "since": datetime(2026, 1, 2, 3, tzinfo=UTC),
        "day": datetime(2026, 1, 2, tzinfo=UTC),
        "tags": ["red"],
        "score": None,
    }
    assert second.attributes == {"price": None, "since": None, "day": None, "tags": None, "score": 2.5}
    assert open_source(tmp_path / "a.parquet").count() == 2


def test_times_in_parquet_are_kept_to_the_microsecond_whatever_their_unit_and_zone(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    nanoseconds = int(moment.timestamp()) * 10**9 + 6_789
    table = pa.table(
        {
            "id": ["1"],
            "path": ["a.jpg"],
            "ns": pa.array([nanoseconds], pa.timestamp("ns")),
            "zone": pa.array([nanoseconds // 1000], pa.timestamp("us", "Mars/Base")),
            "coded": pa.array([nanoseconds], pa.timestamp("ns", "Mars/Base")).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert items(tmp_path / "a.parquet")[0].attributes == {"ns": moment, "zone": moment, "coded": moment}


def test_the_old_96_bit_times_of_parquet_are_read_beyond_the_years_that_nanoseconds_reach(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "path": ["a.jpg"], "since": [datetime(3026, 1, 2, 3, 4, 5, 6)]})
    pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert items(tmp_path / "a.parquet")[0].attributes == {"since": datetime(3026, 1, 2, 3, 4, 5, 6, UTC)}


def _not_utf8(kind: pa.DataType) -> pa.Array:
    """Three strings, the second of which is Latin-1."""
    return pa.array([b"Schuh", b"Sch\xfchle", b"Boot"]).cast(kind, safe=False)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        (pa.array([0, 2**53, 0], pa.timestamp("s")), "outside the years 1 to 9999"),
        (pa.array([0, 2**62, 0], pa.timestamp("ms", "Mars/Base")), "outside the years 1 to 9999"),
        (pa.array([0, -(2**60), 0], pa.timestamp("us")), "outside the years 1 to 9999"),
        (pa.array([0, 2**31 - 1, 0], pa.date32()), "outside the years 1 to 9999"),
        (pa.array([0, 2**53, 0], pa.date64()), "outside the years 1 to 9999"),
        (pa.array([None, 1, None], pa.time64("ns")), "an attribute is a string, number"),
        (pa.array([None, -5, None], pa.time32("s")), "an attribute is a string, number"),
        (pa.array([None, 1, None], pa.duration("ns")), "an attribute is a string, number"),
        (pa.array([None, b"\xff", None], pa.binary()), "an attribute is a string, number"),
        (pa.array([None, {"eu": 38}, None]), "an attribute is a string, number"),
        (pa.array([1.5, math.nan, 2.5]), "NaN, infinity"),
        (pa.array([1.5, -math.inf, 2.5], pa.float32()), "NaN, infinity"),
        (_not_utf8(pa.string()), "the text is not UTF-8"),
        (_not_utf8(pa.large_string()), "the text is not UTF-8"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_of_parquet_that_cannot_be_kept_fails_its_row_alone(
    tmp_path: Path, values: pa.Array, cause: str
) -> None:
    table = pa.table({"id": ["1", "2", "3"], "path": ["a.jpg", "b.jpg", "c.jpg"], "what": values})
    pq.write_table(table, tmp_path / "a.parquet")
    first, bad, last = open_source(tmp_path / "a.parquet")
    assert isinstance(first, ListedPhoto)
    assert isinstance(last, ListedPhoto)
    assert isinstance(bad, Failure)
    assert (bad.id, bad.photo) == ("2", "b.jpg")
    assert bad.cause.startswith("what: ")
    assert cause in bad.cause


@pytest.mark.parametrize("name", ["id", "path"])
def test_an_id_or_photo_of_parquet_that_is_not_utf8_fails_its_row_alone(tmp_path: Path, name: str) -> None:
    columns: dict[str, Any] = {"id": ["1", "2", "3"], "path": ["a.jpg", "b.jpg", "c.jpg"]}
    pq.write_table(pa.table({**columns, name: _not_utf8(pa.string())}), tmp_path / "a.parquet")
    _, bad, _ = open_source(tmp_path / "a.parquet")
    assert isinstance(bad, Failure)
    assert (bad.id, bad.file) == ("", f"{tmp_path / 'a.parquet'}:2")
    assert bad.cause.endswith("the text is not UTF-8")


def test_a_file_that_only_calls_itself_parquet_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "PAR1 not really")
    with pytest.raises(SourceError, match="not readable as Parquet") as caught:
        list(open_source(path))
    assert "\n" not in str(caught.value)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)))
def test_any_text_survives_a_csv(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "name"])
        writer.writerows([str(n), "a.jpg", name] for n, name in enumerate(names))
    found = [(item.attributes or {})["name"] or "" for item in items(path, types={"name": "string"})]
    assert found == [name.strip() for name in names]
    assert open_source(path).count() == len(names)
