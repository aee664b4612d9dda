import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.core import LykeionError, NotFound, Unsupported
from lykeion.search.index import open_index
from lykeion.search.index.errors import IndexFormatError, SchemaError
from lykeion.search.index.filters import check, parse
from lykeion.search.index.milvus.client import LITE_OPTIONS, MilvusError
from lykeion.search.index.milvus.filter import column_of, key_of, to_milvus
from lykeion.search.index.milvus.milvus_address import TOKEN_VARIABLE, Address
from lykeion.search.index.milvus.own_writes import MAX_PRODUCTS, OwnWrites
from lykeion.search.index.milvus.server_version import check_version
from lykeion.search.index.schema import Schema
from tests.search.index.backends import Place, milvus_lite

X = np.eye(4, dtype=np.float32)[:1]


@pytest.fixture
def lite(directory: Path) -> Place:
    return milvus_lite(directory)


@pytest.fixture
def milvus(directory: Path) -> Iterator[Any]:
    """Milvus Lite itself, to make what is not ours."""
    from pymilvus import MilvusClient

    client = MilvusClient(str(directory / "lite.db"), grpc_options=LITE_OPTIONS)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("milvus://localhost:19530/shop", Address("http://localhost:19530", "shop", lite=False)),
        ("milvus+tls://milvus.example.org/shop", Address("https://milvus.example.org", "shop", lite=False)),
        ("milvus:///data/my%20shop.db/shoes", Address("/data/my shop.db", "shoes", lite=True)),
        ("milvus://db:1/a?consistency=strong", Address("http://db:1", "a", lite=False, consistency="strong")),
        ("milvus+tls://db/a?consistency=bounded", Address("https://db", "a", lite=False, consistency="bounded")),
        ("milvus://db/a?consistency=session", Address("http://db", "a", lite=False)),
    ],
)
def test_an_address_names_a_server_or_a_file_and_a_collection(uri: str, address: Address) -> None:
    assert Address.parse(uri) == address


@pytest.mark.parametrize(
    "uri",
    [
        "milvus://localhost:19530",
        "milvus://localhost:19530/",
        "milvus://localhost/a/b",
        "milvus://user:secret@localhost/shop",
        "milvus://localhost/shop?token=secret",
        "milvus://localhost/shop?consistency=eventually",
        "milvus://localhost/shop?consistency=strong&consistency=bounded",
        "milvus:///data/x.db/shop?consistency=strong",
        "milvus://localhost/sh-op",
        "milvus:///data/shop",
        "milvus:///data/shop.db/a;drop",
        "milvus+tls:///data/x.db/shop",
        "http://localhost/shop",
    ],
)
def test_an_address_that_is_none_is_refused_with_the_right_form(uri: str) -> None:
    with pytest.raises(IndexFormatError):
        Address.parse(uri)


def test_the_error_about_credentials_says_where_they_go() -> None:
    with pytest.raises(IndexFormatError, match=TOKEN_VARIABLE):
        Address.parse("milvus://localhost/shop?token=x")


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(MilvusError) as error:
        open_index("milvus://127.0.0.1:1/shop", "r")
    assert "127.0.0.1:1" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("version", ["v2.3.5-lite", "2.3.22", "v2.4.0", "2.5.4-gpu", "Compatible with Milvus 2.6"])
def test_servers_from_2_3_5_to_2_6_are_supported(version: str) -> None:
    check_version(version, "http://db")


@pytest.mark.parametrize("version", ["v2.2.16", "2.3.4", "v2.7.0", "3.0.1", "", "master-20250101-0123abc"])
def test_another_server_is_refused_in_one_line_that_says_which_are_supported(version: str) -> None:
    with pytest.raises(Unsupported, match=r"http://db is Milvus .*; 2\.3\.5 to 2\.6 are supported$"):
        check_version(version, "http://db")


def test_a_read_waits_only_for_products_that_were_written_since_one_that_waited() -> None:
    own = OwnWrites()
    own.written(["a", "b"])
    assert own.concern(["c", "b"])
    assert not own.concern(["c"])
    before = own.number()
    own.written(["c"], delete=True)  # by another thread, after the read began
    own.seen(before)
    assert not own.concern(["a", "b"])
    assert own.concern(["c"])
    assert own.delete_unseen()
    own.seen(own.number())
    assert not own.concern(["c"])
    assert not own.delete_unseen()


def test_of_very_many_writes_all_are_waited_for_and_then_forgotten() -> None:
    own = OwnWrites()
    own.written(map(str, range(MAX_PRODUCTS + 1)))
    assert own.concern(["another"])
    own.seen(own.number())
    assert not own.concern(["0"])


def test_without_pymilvus_the_error_says_what_to_install(lite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(Unsupported, match=r"lykeion\[milvus\]"):
        lite.open()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_index(f"milvus://{tmp_path}/none.db/shop", "r")
    assert list(tmp_path.iterdir()) == []


def test_a_collection_that_is_not_ours_is_left_alone(lite: Place, milvus: Any) -> None:
    collection = lite.uri.rpartition("/")[2]
    milvus.create_collection(collection, dimension=4)
    with pytest.raises(IndexFormatError, match="not an index of ours"):
        lite.open()


def test_a_newer_format_is_refused(lite: Place, milvus: Any) -> None:
    lite.open().close()
    collection = lite.uri.rpartition("/")[2]
    milvus.alter_collection_properties(collection, {"lykeion": '{"format": 2, "dimension": 4, "metric": "cosine"}'})
    with pytest.raises(IndexFormatError, match="newer"):
        lite.open("r")


def test_another_handle_sees_writes_at_once_and_new_columns_too(lite: Place) -> None:
    writer = lite.open()
    reader = lite.open("r", dimension=None)
    writer.upsert(["a"], X, [{"brand": "A"}])
    assert reader.count("brand = 'A'") == 1
    assert reader.search(X)[0][0].attributes == {"brand": "A"}
    writer.upsert(["b"], X, [{"since": "x", "colour": "red"}])
    assert {hit.id: hit.attributes for hit in reader.search(X)[0]}["b"] == {"since": "x", "colour": "red"}
    writer.close()
    reader.close()


def test_more_attributes_than_milvus_keeps_are_refused_and_nothing_is_written(lite: Place) -> None:
    index = lite.open()
    with pytest.raises(SchemaError, match="65,536"):
        index.upsert(["small", "large"], np.repeat(X, 2, axis=0), [{}, dict.fromkeys("abc", "x" * 30000)])
    assert index.count() == 0
    assert index.stats().columns == {}
    index.close()


def test_more_answers_than_milvus_gives_are_refused(lite: Place) -> None:
    index = lite.open()
    with pytest.raises(LykeionError, match="16,384"):
        index.search(X, 20_000)
    index.close()


@pytest.mark.parametrize("name", ["price", "größe", "a b", "x\"'`\\", "size.eu", "in", "P1"])
def test_a_column_becomes_a_plain_key_and_back(name: str) -> None:
    key = key_of(name)
    assert key.isascii()
    assert key.isidentifier()
    assert column_of(key) == name


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("price = 1", '(array_contains(present, "price") and attributes["price"] == 1)'),
        ("not price < 1", '(array_contains(present, "price") and attributes["price"] >= 1)'),
        ("not (price = 1 or tags contains 'a')",
         '((array_contains(present, "price") and attributes["price"] != 1) and '
         '(array_contains(present, "tags") and not json_contains_any(attributes["tags"], ["a"])))'),
        ("price is null", 'not array_contains(present, "price")'),
    ],
)  # fmt: skip
def test_not_reaches_the_leaves_and_each_leaf_asks_for_presence_first(where: str, expected: str) -> None:
    schema = Schema({"price": "integer", "tags": "strings"})
    assert to_milvus(check(parse(where), schema)) == expected
