"""What every index promises, run on each backend."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.core import LykeionError, NotFound, Unsupported
from lykeion.core.expression import WhereError
from lykeion.search.index import open_index
from lykeion.search.index.errors import EmbedderMismatch, SchemaError
from lykeion.search.index.protocol import Hit, Index, Photo, Product

from .backends import BACKENDS, EACH, Place

X, Y, Z, W = np.eye(4, dtype=np.float32)


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """A unit vector whose cosine with ``first`` is 1 − share."""
    cosine = 1 - share
    return cosine * first + np.sqrt(1 - cosine**2) * second


def array(*vectors: Any) -> np.ndarray:
    return np.array(vectors, dtype=np.float32)


def ids_of(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def matching(index: Index, where: str) -> list[str]:
    """Ids that a filter lets through, by search; counting must agree."""
    found = sorted(ids_of(index.search(array(X), 100, where=where)[0]))
    assert index.count(where) == len(found)
    return found


def stored(index: Index, product: str, *, vectors: bool = False) -> Product:
    (found,) = index.get([product], vectors=vectors)
    assert found is not None
    return found


def names(product: Product) -> list[str]:
    return [photo.name for photo in product.photos]


def assert_vectors(product: Product, expected: np.ndarray) -> None:
    assert product.vectors is not None
    assert product.vectors.dtype == np.float32
    np.testing.assert_allclose(product.vectors, expected, atol=2e-3)


# --- ids ---


@pytest.mark.parametrize(
    "name",
    [
        "A123",
        "shoes/été/photo 1.jpg",
        "日本語🙂",
        "a\"b'c\\d`e",
        "line\nbreak\ttab\r",
        "{}%_*",
        "x" * 512,
        "é" * 256,
        " ",
        "\x00",
    ],
    ids=lambda name: repr(name)[:12],
)
def test_any_id_of_up_to_512_bytes_is_kept(index: Index, name: str) -> None:
    index.upsert([name, "other"], array(X, Y), [{"n": 1}, {"n": 2}])
    assert index.get([name]) == [Product(name, [Photo()], {"n": 1})]
    assert ids_of(index.search(array(X), 1)[0]) == [name]
    assert ids_of(index.search([name])[0]) == ["other"]
    assert index.update([name], [{"n": 3}]) == 1
    assert stored(index, name).attributes == {"n": 3}
    assert index.delete([name]) == 1
    assert index.get([name, "other"]) == [None, Product("other", [Photo()], {"n": 2})]


@pytest.mark.parametrize("name", ["", "x" * 513, "é" * 257, "\ud800"], ids=lambda name: repr(name)[:12])
def test_an_id_that_cannot_be_is_refused_and_nothing_is_written(index: Index, name: str) -> None:
    with pytest.raises(LykeionError):
        index.upsert(["good", name], array(X, Y))
    assert index.count() == 0


def test_ids_are_compared_byte_by_byte(index: Index) -> None:
    index.upsert(["e\u0301", "é", "E", "e", "e "], array(X, X, X, X, X))
    assert index.count() == 5
    assert index.delete(["é"]) == 1
    assert index.get(["é"]) == [None]
    assert stored(index, "e\u0301").id == "e\u0301"


# --- upsert ---


def test_rows_of_one_id_are_one_product_with_several_photos(index: Index) -> None:
    index.upsert(["a", "b", "a", "a"], array(X, Y, Z, W), [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}])
    assert index.count() == 2
    assert names(stored(index, "a")) == ["", "1", "2"]
    assert stored(index, "a").attributes == {"n": 4}, "the last row's attributes win"
    assert (index.stats().products, index.stats().photos) == (2, 4)


def test_an_upsert_without_photos_replaces_the_product_whole(index: Index) -> None:
    index.upsert(["a", "a", "a"], array(X, Y, Z), [{"n": 1}] * 3)
    index.upsert(["a"], array(W), [{"m": 2}])
    product = stored(index, "a", vectors=True)
    assert (names(product), product.attributes) == ([""], {"m": 2})
    assert_vectors(product, array(W))
    assert index.search(array(X), 1)[0][0].score == pytest.approx(0, abs=1e-3)


def test_an_upsert_with_photos_replaces_those_photos_and_the_attributes_of_all(index: Index) -> None:
    front, back, side = Photo("front", "sha256:1"), Photo("back", "sha256:2"), Photo("side", "sha256:3")
    index.upsert(["a", "a"], array(X, Y), [{"n": 1}] * 2, photos=[front, back])
    index.upsert(["a", "a"], array(Z, W), [{"n": 2}] * 2, photos=[Photo("back", "sha256:4"), side])
    product = stored(index, "a", vectors=True)
    assert product.photos == [front, Photo("back", "sha256:4"), side]
    assert product.attributes == {"n": 2}
    assert_vectors(product, array(X, Z, W))
    for n, (query, name) in enumerate([(X, "front"), (Z, "back"), (W, "side")]):
        (hit,) = index.search(array(query), 1, where="n = 2")[0]
        assert (hit.photo, hit.attributes) == (name, {"n": 2}), n
    assert matching(index, "n = 1") == []


def test_without_attributes_a_product_keeps_its_own(index: Index) -> None:
    index.upsert(["a", "b"], array(X, Y), [{"n": 1}, {"n": 2}])
    index.upsert(["a", "new"], array(Z, W))
    assert stored(index, "a").attributes == {"n": 1}
    assert stored(index, "new").attributes == {}
    index.upsert(["b"], array(X), photos=[Photo("side")])
    assert stored(index, "b").attributes == {"n": 2}
    index.upsert(["a"], array(Z), [{}])
    assert stored(index, "a").attributes == {}, "given attributes replace, also by none"


def test_the_last_of_two_photos_of_one_name_wins(index: Index) -> None:
    index.upsert(["a", "a"], array(X, Y), photos=[Photo("front"), Photo("front")])
    product = stored(index, "a", vectors=True)
    assert names(product) == ["front"]
    assert_vectors(product, array(Y))


@pytest.mark.parametrize(
    ("ids", "vectors", "attributes", "photos"),
    [
        (["a"], array(X, Y), None, None),
        (["a", "b"], array(X, Y), [{}], None),
        (["a", "b"], array(X, Y), None, [Photo()]),
        (["a"], np.ones((1, 5)), None, None),
        (["a"], X, None, None),
        (["a", "b"], array(X, Y * np.nan), None, None),
        (["a", "b"], array(X, [0, np.inf, 0, 0]), None, None),
        (["a", "b"], array(X, Y * 0), None, None),
        (["a"], np.array([["x"] * 4]), None, None),
        (["a", "b"], array(X, Y), [{"n": 1}, {"n": "one"}], None),
        (["a", "b"], array(X, Y), [{"n": 1}, {"_n": 1}], None),
        (["a", "b"], array(X, Y), [{"n": 1}, {"n": float("nan")}], None),
    ],
)  # fmt: skip
def test_a_batch_with_something_wrong_changes_nothing(
    index: Index, ids: list[str], vectors: np.ndarray, attributes: Any, photos: Any
) -> None:
    index.upsert(["old"], array(W), [{"old": True}])
    with pytest.raises(LykeionError) as error:
        index.upsert(ids, vectors, attributes, photos=photos)
    assert "\n" not in str(error.value)
    assert index.count() == 1
    assert index.stats().columns == {"old": "boolean"}


def test_an_empty_batch_is_no_work(index: Index) -> None:
    index.upsert([], np.zeros((0, 4), dtype=np.float32), [])
    assert (index.update([], []), index.delete([]), index.get([])) == (0, 0, [])
    assert index.search(np.zeros((0, 4), dtype=np.float32)) == []
    assert index.search([]) == []


def test_a_large_batch_is_kept_whole(index: Index) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3_000, 4)).astype(np.float32)
    index.upsert([f"p{n}" for n in range(3_000)], vectors, [{"n": n} for n in range(3_000)])
    assert index.count() == 3_000
    assert index.count("n >= 1000") == 2_000
    found = index.get([f"p{n}" for n in range(3_000)])
    assert [product and product.attributes["n"] for product in found] == list(range(3_000))
    assert index.delete([f"p{n}" for n in range(0, 3_000, 2)]) == 1_500
    assert index.count() == 1_500


# --- update ---


def test_an_update_sets_what_is_given_and_keeps_the_rest(index: Index) -> None:
    index.upsert(["a", "a", "b"], array(X, Y, Z), [{"n": 1, "m": 1, "k": 1}] * 2 + [{"n": 5}])
    assert index.update(["a", "missing"], [{"n": 2, "m": None, "new": "x"}, {"n": 3}]) == 1
    product = stored(index, "a", vectors=True)
    assert (names(product), product.attributes) == (["", "1"], {"n": 2, "k": 1, "new": "x"})
    assert_vectors(product, array(X, Y))
    assert stored(index, "b").attributes == {"n": 5}
    assert index.get(["missing"]) == [None]
    assert matching(index, "n = 2 and new = 'x' and m is null") == ["a"]
    assert matching(index, "n = 1") == []


def test_two_updates_of_one_product_in_a_batch_both_hold(index: Index) -> None:
    index.upsert(["a"], array(X), [{"n": 1, "m": 1}])
    index.update(["a", "a"], [{"n": 2, "m": 2}, {"m": None, "k": 3}])
    assert stored(index, "a").attributes == {"n": 2, "k": 3}


def test_an_update_that_conflicts_changes_nothing(index: Index) -> None:
    index.upsert(["a", "b"], array(X, Y), [{"n": 1}, {"n": 2}])
    with pytest.raises(SchemaError, match="'b'"):
        index.update(["a", "b"], [{"n": 9}, {"n": "nine"}])
    assert stored(index, "a").attributes == {"n": 1}


# --- delete ---


def test_a_delete_removes_a_product_with_all_its_photos(index: Index) -> None:
    index.upsert(["a", "a", "b"], array(X, Y, Z))
    assert index.delete(["a", "a", "missing"]) == 1
    assert index.get(["a"]) == [None]
    assert ids_of(index.search(array(X))[0]) == ["b"]
    assert (index.stats().products, index.stats().photos) == (1, 1)
    index.upsert(["a"], array(W))
    assert names(stored(index, "a")) == [""]
    assert stored(index, "a").attributes == {}


def test_single_photos_can_be_deleted_and_the_last_takes_the_product_with_it(index: Index) -> None:
    index.upsert(["a", "a", "a"], array(X, Y, Z), [{"n": 1}] * 3)
    assert index.delete(["a", "a", "b"], photos=["", "nothing", ""]) == 1
    assert names(stored(index, "a")) == ["1", "2"]
    assert (index.count(), index.count("n = 1")) == (1, 1)
    assert index.search(array(X), 1)[0][0].score == pytest.approx(0, abs=1e-3)
    assert index.delete(["a", "a"], photos=["1", "2"]) == 2
    assert index.get(["a"]) == [None]
    assert index.count() == 0


# --- get ---


def test_get_answers_in_the_order_asked_also_twice(index: Index) -> None:
    index.upsert(["a", "b"], array(2 * X, Y))
    found = index.get(["b", "missing", "a", "b"], vectors=True)
    assert [product and product.id for product in found] == ["b", None, "a", "b"]
    assert found[2] is not None
    assert_vectors(found[2], array(X))
    assert stored(index, "a").vectors is None


# --- search ---


def test_the_nearest_come_first_with_their_cosines(index: Index) -> None:
    shares = {"far": 0.9, "near": 0.1, "same": 0.0, "mid": 0.5}
    index.upsert(list(shares), array(*(3 * between(X, Y, share) for share in shares.values())))
    (hits,) = index.search(array(7 * X), 3)
    assert ids_of(hits) == ["same", "near", "mid"]
    assert [hit.score for hit in hits] == pytest.approx([1.0, 0.9, 0.5], abs=2e-3)


def test_under_l2_scores_are_squared_distances(place: Place) -> None:
    index = place.open(metric="l2")
    index.upsert(["a", "b", "c"], array(X, 3 * X, -2 * X))
    (hits,) = index.search(array(X), 3)
    assert ids_of(hits) == ["a", "b", "c"]
    assert [hit.score for hit in hits] == pytest.approx([0, 4, 9], abs=1e-2)
    assert ids_of(index.search(["b"])[0]) == ["a", "c"]
    assert_vectors(stored(index, "b", vectors=True), array(3 * X))
    index.close()


def test_a_product_answers_once_with_its_best_photo(index: Index) -> None:
    rows = [("a", 0.3), ("a", 0.1), ("a", 0.2), ("b", 0.15), ("c", 0.4)]
    photos = [Photo(str(share)) for _, share in rows]
    index.upsert([name for name, _ in rows], array(*(between(X, Y, share) for _, share in rows)), photos=photos)
    (hits,) = index.search(array(X), 10)
    assert [(hit.id, hit.photo) for hit in hits] == [("a", "0.1"), ("b", "0.15"), ("c", "0.4")]


def test_k_products_are_found_behind_one_with_many_photos(index: Index) -> None:
    crowd = [between(X, Y, share) for share in np.linspace(0, 0.1, 300)]
    index.upsert(["crowd"] * 300, array(*crowd))
    index.upsert([f"p{n}" for n in range(5)], array(*(between(X, Z, 0.5 + n / 10) for n in range(5))))
    assert ids_of(index.search(array(X), 6)[0]) == ["crowd", "p0", "p1", "p2", "p3", "p4"]


def test_several_queries_are_answered_each(index: Index) -> None:
    index.upsert(["x", "y", "z"], array(X, Y, Z))
    assert [ids_of(hits) for hits in index.search(array(Z, X, Y, X), 1)] == [["z"], ["x"], ["y"], ["x"]]
    assert [len(hits) for hits in index.search(array(*[X] * 150), 10)] == [3] * 150


def test_a_product_asked_by_id_is_not_its_own_answer(index: Index) -> None:
    index.upsert(["a", "near", "far", "a"], array(X, between(X, Z, 0.1), between(X, Z, 0.8), Y))
    assert [ids_of(hits) for hits in index.search(["a", "far"], 2)] == [["near", "far"], ["near", "a"]]


def test_a_product_asked_by_id_is_near_by_any_of_its_photos(index: Index) -> None:
    index.upsert(["a", "a", "by x", "by y"], array(X, Y, between(X, Z, 0.3), between(Y, Z, 0.1)))
    (hits,) = index.search(["a"])
    assert ids_of(hits) == ["by y", "by x"]
    assert [hit.score for hit in hits] == pytest.approx([0.9, 0.7], abs=2e-3)


def test_an_unknown_id_is_not_found(index: Index) -> None:
    index.upsert(["a"], array(X))
    with pytest.raises(NotFound, match="nobody"):
        index.search(["a", "nobody"])


def test_answers_carry_attributes_unless_not_wanted(index: Index) -> None:
    index.upsert(["a"], array(X), [{"n": 1, "tags": ["x"]}])
    assert index.search(array(X))[0][0].attributes == {"n": 1, "tags": ["x"]}
    assert index.search(array(X), attributes=False)[0][0].attributes == {}


def test_a_rare_filter_still_gives_all_that_match(index: Index) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2_000, 4)).astype(np.float32)
    vectors[::100] = -np.abs(vectors[::100])  # what matches is on the far side
    index.upsert([str(n) for n in range(2_000)], vectors, [{"rare": n % 100 == 0} for n in range(2_000)])
    (hits,) = index.search(np.abs(vectors[:1]), 20, where="rare")
    assert sorted(map(int, ids_of(hits))) == list(range(0, 2_000, 100))


def test_an_empty_index_has_no_answers(index: Index) -> None:
    assert index.search(array(X, Y)) == [[], []]
    assert (index.count(), list(index.scan())) == (0, [])
    assert index.get(["a"]) == [None]


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(index: Index, k: int) -> None:
    with pytest.raises(LykeionError):
        index.search(array(X), k)


@pytest.mark.parametrize(
    "query", [np.ones((1, 3)), np.ones(4), np.full((1, 4), np.nan)], ids=["width", "shape", "nan"]
)
def test_a_query_that_does_not_fit_is_refused(index: Index, query: np.ndarray) -> None:
    index.upsert(["a"], array(X))
    with pytest.raises(LykeionError):
        index.search(query)


# --- filters ---

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
EXACT = 2**53 + 1
PRODUCTS: dict[str, dict[str, Any]] = {
    "empty": {},
    "shoe": {"name": "Shoe", "price": 30, "weight": 1.5, "sold": False, "since": MOMENT},
    "bag": {"name": 'bag "L" it\'s \\ ü', "price": 40, "weight": 2.0, "sold": True},
    "hat": {"name": "", "price": EXACT, "weight": -0.25, "sold": False},
}
PRODUCTS["shoe"] |= {"tags": ["red", "new"], "sizes": [38, 39.5]}
PRODUCTS["bag"] |= {"tags": [], "sizes": [], "since": MOMENT + timedelta(microseconds=1)}
PRODUCTS["hat"] |= {"tags": ["", "blue"], "sizes": [0]}


def fill(index: Index) -> Index:
    index.upsert(list(PRODUCTS), array(X, Y, Z, W), list(PRODUCTS.values()))
    return index


@pytest.fixture
def shop(index: Index) -> Index:
    return fill(index)


@pytest.fixture(scope="module", params=EACH)
def kept_shop(request: pytest.FixtureRequest, directory: Path) -> Iterator[Index]:
    """The shop made once for all tests that only read it."""
    index = fill(BACKENDS[request.param](directory).open())
    yield index
    index.close()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("price = 30", "shoe"),
        ("price == 30.0", "shoe"),
        ("price != 30", "bag hat"),
        ("price <> 30", "bag hat"),
        ("not price = 30", "bag hat"),
        ("not price != 30", "shoe"),
        ("price < 40", "shoe"),
        ("price <= 40", "bag shoe"),
        ("price > 30", "bag hat"),
        ("price >= 30.5", "bag hat"),
        ("not price >= 40", "shoe"),
        ("not price < 40", "bag hat"),
        ("price between 30 and 40", "bag shoe"),
        ("price not between 30 and 35", "bag hat"),
        ("price in (30, 41, 40.0)", "bag shoe"),
        ("price not in (30, 40)", "hat"),
        ("not price in (30)", "bag hat"),
        ("price in (30.5)", ""),
        ("price not in (30.5)", "bag hat shoe"),
        ("price is null", "empty"),
        ("price is not null", "bag hat shoe"),
        ("not price is null", "bag hat shoe"),
        (f"price = {EXACT}", "hat"),
        (f"price = {EXACT - 1}", ""),
        (f"price > {EXACT - 1}", "hat"),
        ("price < 1e300", "bag hat shoe"),
        ("price > 1e300", ""),
        ("weight = 2", "bag"),
        ("weight < 1.75", "hat shoe"),
        ("weight != 2", "hat shoe"),
        ("weight >= -0.25", "bag hat shoe"),
        ("name = 'Shoe'", "shoe"),
        ("name = 'shoe'", ""),
        ('name = "bag \\"L\\" it\'s \\\\ ü"', "bag"),
        ("name = ''", "hat"),
        ("name != ''", "bag shoe"),
        ("name > 'Shoe'", "bag"),
        ("name <= 'Shoe'", "hat shoe"),
        ("name in ('', 'Shoe', 'x')", "hat shoe"),
        ("name not in ('Shoe')", "bag hat"),
        ("sold", "bag"),
        ("not sold", "hat shoe"),
        ("sold = false", "hat shoe"),
        ("sold != true", "hat shoe"),
        ("sold in (true, false)", "bag hat shoe"),
        ("sold is null", "empty"),
        ("since = '2026-01-31T12:00:00.123456Z'", "shoe"),
        ("since > '2026-01-31T13:00:00.123456+01:00'", "bag"),
        ("since < '2026-02-01'", "bag shoe"),
        ("since != '2026-01-31T12:00:00.123456Z'", "bag"),
        ("since not in ('2026-01-31T12:00:00.123456Z')", "bag"),
        ("since is null", "empty hat"),
        ("tags contains 'red'", "shoe"),
        ("tags contains ''", "hat"),
        ("tags not contains 'red'", "bag hat"),
        ("not tags contains 'blue'", "bag shoe"),
        ("tags is null", "empty"),
        ("tags is not null", "bag hat shoe"),
        ("sizes contains 38", "shoe"),
        ("sizes contains 39.5", "shoe"),
        ("sizes contains 0", "hat"),
        ("not sizes contains 38", "bag hat"),
        ("price < 35 or name = ''", "hat shoe"),
        ("price < 35 and name = ''", ""),
        ("not (price < 35 and sold)", "bag hat shoe"),
        ("not (price < 35 or sold)", "hat"),
        ("not (since is null and price = 1)", "bag hat shoe"),
        ("since = '2026-01-01' or price > 40", "hat"),
        ("not (since = '2026-01-01' or price < 40)", "bag"),
        ("price is null or price = 30", "empty shoe"),
        ("sold = true and sold = false or tags is null", "empty"),
    ],
)
def test_a_filter_matches_as_in_sql(kept_shop: Index, where: str, expected: str) -> None:
    assert matching(kept_shop, where) == expected.split()


@pytest.mark.parametrize("where", ["prise < 3", "price < 'x'", "price <", "tags = 'red'"])
def test_a_filter_that_cannot_be_read_is_refused(kept_shop: Index, where: str) -> None:
    with pytest.raises(WhereError):
        kept_shop.search(array(X), where=where)
    with pytest.raises(WhereError):
        kept_shop.count(where)
    with pytest.raises(WhereError):
        kept_shop.search(["shoe"], where=where)


def test_attributes_come_back_as_they_were_given(shop: Index) -> None:
    for product, given in PRODUCTS.items():
        found = stored(shop, product).attributes
        assert found == given
        assert {name: type(value) for name, value in found.items()} == {name: type(v) for name, v in given.items()}


def test_a_search_by_id_is_filtered_too(shop: Index) -> None:
    assert sorted(ids_of(shop.search(["shoe"], where="price >= 30")[0])) == ["bag", "hat"]


def test_new_columns_are_null_in_what_is_there(shop: Index) -> None:
    shop.upsert(["scarf"], array(X), [{"brand": "A", "odd `name`": 1, "größe.eu": 2}])
    assert matching(shop, "brand is null") == ["bag", "empty", "hat", "shoe"]
    assert matching(shop, "brand != 'B'") == ["scarf"]
    assert matching(shop, r"`odd \`name\`` = 1 and größe.eu = 2") == ["scarf"]
    assert stored(shop, "scarf").attributes == {"brand": "A", "odd `name`": 1, "größe.eu": 2}


def test_an_integer_column_widens_and_an_empty_list_takes_its_type_later(index: Index) -> None:
    index.upsert(["a"], array(X), [{"price": 3, "tags": []}])
    assert matching(index, "price < 3.5") == ["a"]
    assert matching(index, "not tags contains 'x'") == ["a"]
    index.upsert(["b"], array(Y), [{"price": 3.25, "tags": ["x"]}])
    assert index.stats().columns == {"price": "number", "tags": "strings"}
    assert matching(index, "price < 3.5") == ["a", "b"]
    assert matching(index, "price <= 3") == ["a"]
    assert matching(index, "price in (3, 3.25)") == ["a", "b"]
    assert matching(index, "tags contains 'x'") == ["b"]
    assert matching(index, "not tags contains 'x'") == ["a"]
    assert stored(index, "a").attributes == {"price": 3, "tags": []}


def test_timestamps_come_back_in_utc(index: Index) -> None:
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    index.upsert(["a"], array(X), [{"since": moment}])
    found = stored(index, "a").attributes["since"]
    assert isinstance(found, datetime)
    assert (found, found.utcoffset()) == (moment, timedelta(0))


# --- scan, stats, life ---


def test_a_scan_gives_every_photo_once(index: Index) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(500, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"p{n // 2}" for n in range(500)]
    index.upsert(ids, vectors, [{"n": n // 2} for n in range(500)])
    index.delete(["p0"])
    seen: Counter[tuple[str, str]] = Counter()
    for rows in index.scan(vectors=True, batch=64):
        assert len(rows.ids) == len(rows.photos) == len(rows.attributes) <= 64
        assert rows.vectors is not None
        assert rows.vectors.dtype == np.float32
        for name, photo, vector, attributes in zip(rows.ids, rows.photos, rows.vectors, rows.attributes, strict=True):
            seen[name, photo.name] += 1
            assert attributes == {"n": int(name[1:])}
            np.testing.assert_allclose(vector, vectors[2 * int(name[1:]) + int(photo.name or 0)], atol=1e-3)
    assert seen == Counter({(name, photo): 1 for name in set(ids) - {"p0"} for photo in ("", "1")})
    assert all(rows.vectors is None for rows in index.scan())


def test_a_sample_is_of_different_products_that_are_there_and_stays_the_same(index: Index) -> None:
    ids = [f"p{n // 2}" for n in range(500)]
    vectors = np.random.default_rng(2).normal(size=(500, 4)).astype(np.float32)
    index.upsert(ids, vectors, [{"n": n // 2} for n in range(500)])
    index.delete([f"p{n}" for n in range(100)])
    rows = index.sample(40)
    assert 30 <= len(rows.ids) == len(set(rows.ids)) <= 40
    assert rows.vectors is None
    assert [row["n"] for row in rows.attributes] == [int(id[1:]) for id in rows.ids]
    assert all(
        int(id[1:]) >= 100 and photo.name in ("", "1") for id, photo in zip(rows.ids, rows.photos, strict=True)
    )
    assert min(row["n"] for row in rows.attributes) < 130
    assert max(row["n"] for row in rows.attributes) > 220
    assert index.sample(40) == rows


def test_a_sample_of_what_matches_is_all_of_it_where_it_is_small(shop: Index) -> None:
    assert sorted(shop.sample(100).ids) == sorted({id for rows in shop.scan() for id in rows.ids})
    assert sorted(shop.sample(100, "price = 30").ids) == matching(shop, "price = 30")
    assert shop.sample(1, "price = 30").ids[0] in matching(shop, "price = 30")
    assert shop.sample(5, "price < 0").ids == []
    with pytest.raises(WhereError):
        shop.sample(5, "prise = 30")


def test_an_empty_index_has_an_empty_sample(index: Index) -> None:
    assert index.sample(5).ids == []


def test_stats_say_what_is_there(shop: Index) -> None:
    stats = shop.stats()
    assert (stats.products, stats.photos, stats.dimension, stats.metric) == (4, 4, 4, "cosine")
    assert stats.columns["tags"] == "strings"
    assert stats.columns["since"] == "timestamp"


def test_what_was_written_is_there_after_opening_again(place: Place) -> None:
    with_digest = Photo("front", "sha256:00")
    index = place.open(embedder="sha256:e")
    index.upsert(list(PRODUCTS), array(X, Y, Z, W), list(PRODUCTS.values()), photos=[with_digest] * 4)
    index.delete(["bag"])
    index.update(["hat"], [{"price": 1}])
    index.close()
    for mode in ("w", "shared", "r"):
        index = place.open(mode, dimension=None)
        assert (index.dimension, index.metric, index.embedder) == (4, "cosine", "sha256:e")
        assert index.get(["bag", "shoe"]) == [None, Product("shoe", [with_digest], PRODUCTS["shoe"])]
        assert matching(index, "price >= 1") == ["hat", "shoe"]
        index.close()


def test_the_metric_of_an_index_is_remembered(place: Place) -> None:
    place.open(metric="l2").close()
    index = place.open("r", dimension=None)
    assert index.metric == "l2"
    index.close()


def test_another_embedder_or_dimension_is_refused(place: Place) -> None:
    place.open(embedder="sha256:e").close()
    with pytest.raises(EmbedderMismatch):
        place.open(embedder="sha256:other")
    with pytest.raises(LykeionError):
        place.open(dimension=5)
    place.open(embedder="sha256:e").close()


def test_what_is_opened_to_read_does_not_write(place: Place) -> None:
    place.open().close()
    index = place.open("r", dimension=None)
    for write in (
        lambda: index.upsert(["a"], array(X)),
        lambda: index.update(["a"], [{"n": 1}]),
        lambda: index.delete(["a"]),
    ):
        with pytest.raises(LykeionError):
            write()
    assert index.count() == 0
    index.close()


def test_a_missing_index_is_not_made_by_reading(place: Place) -> None:
    for _ in range(2):
        with pytest.raises(LykeionError):
            place.open("r", dimension=None)
    with pytest.raises(LykeionError):
        place.open("w", dimension=None)


def test_compaction_changes_no_answer(shop: Index) -> None:
    shop.delete(["bag"])
    before = shop.search(array(X, Y, Z), 10)
    shop.compact()
    after = shop.search(array(X, Y, Z), 10)
    assert [ids_of(hits) for hits in after] == [ids_of(hits) for hits in before]
    assert matching(shop, "price >= 30") == ["hat", "shoe"]


def test_a_snapshot_is_returned_to_or_said_to_be_unsupported(place: Place) -> None:
    index = place.open()
    index.upsert(["a", "b"], array(X, Y), [{"n": 1}, {"n": 2}])
    if not place.keeps_snapshots:
        with pytest.raises(Unsupported):
            index.snapshot("monday")
        with pytest.raises(Unsupported):
            index.restore("monday")
        index.close()
        return
    index.snapshot("monday")
    index.upsert(["a", "c"], array(Z, W), [{"n": 3, "new": True}, {"n": 4}])
    index.delete(["b"])
    index.restore("monday")
    assert index.get(["a", "b", "c"]) == [Product("a", [Photo()], {"n": 1}), Product("b", [Photo()], {"n": 2}), None]
    assert matching(index, "n >= 1") == ["a", "b"]
    index.upsert(["d"], array(W), [{"n": 5}])
    index.close()
    index = place.open("w", dimension=None)
    assert matching(index, "n >= 1") == ["a", "b", "d"]
    index.restore("monday")
    assert matching(index, "n >= 1") == ["a", "b"]
    with pytest.raises(NotFound):
        index.restore("tuesday")
    index.close()


CHANGES_OF_COLUMNS: dict[str, Callable[[Index], object]] = {
    "drop": lambda index: index.drop_column("price"),
    "rename": lambda index: index.rename_column("price", "cost"),
    "retype": lambda index: index.retype_column("price", "string"),
}


@pytest.mark.parametrize("change", CHANGES_OF_COLUMNS)
def test_a_column_is_changed_or_that_is_said_to_be_unsupported(place: Place, change: str) -> None:
    with place.open() as index:
        index.upsert(["a", "b"], array(X, Y), [{"price": 1}, {"n": 2}])
        if place.keeps_snapshots:
            CHANGES_OF_COLUMNS[change](index)
            wanted = {"drop": {}, "rename": {"cost": 1}, "retype": {"price": "1"}}[change]
        else:
            with pytest.raises(Unsupported):
                CHANGES_OF_COLUMNS[change](index)
            wanted = {"price": 1}
        assert [product.attributes for product in index.get(["a", "b"]) if product] == [wanted, {"n": 2}]


ONLY_IN_A_DIRECTORY: dict[str, Callable[[Index, Path], object]] = {
    "snapshot": lambda index, _: index.snapshot("tuesday"),
    "restore": lambda index, _: index.restore("monday"),
    "drop_snapshot": lambda index, _: index.drop_snapshot("monday"),
    "export": lambda index, directory: index.export(directory / "copy"),
    "merge_from": lambda index, directory: index.merge_from(directory / "other"),
    "verify": lambda index, _: index.verify(),
    "rebuild": lambda index, _: index.rebuild(),
}


@pytest.mark.parametrize("operation", ONLY_IN_A_DIRECTORY)
def test_what_only_a_directory_can_do_is_unsupported_elsewhere(place: Place, tmp_path: Path, operation: str) -> None:
    with open_index(tmp_path / "other", "w", dimension=4) as other:
        other.upsert(["of another index"], array(X))
        other.compact()
    with place.open() as index:
        before = fill(index).get(["bag", "hat"], vectors=False)
        if place.keeps_snapshots:
            index.snapshot("monday")
            ONLY_IN_A_DIRECTORY[operation](index, tmp_path)
        else:
            with pytest.raises(Unsupported):
                ONLY_IN_A_DIRECTORY[operation](index, tmp_path)
            assert index.get(["of another index"]) == [None]
        assert index.get(["bag", "hat"]) == before


def test_an_index_says_how_vectors_are_kept_and_where(place: Place) -> None:
    with place.open() as index:
        assert (index.dtype, index.path) == (
            ("float16", Path(place.uri)) if place.keeps_snapshots else ("float32", None)
        )


def test_threads_search_while_another_writes(index: Index) -> None:
    index.upsert(["fixed"], array(X), [{"n": -1}])
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                assert ids_of(index.search(array(X), 1)[0]) == ["fixed"]
                assert index.count("n = -1") == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(10):
        index.upsert([f"{n}-{m}" for m in range(20)], array(*[Y] * 20), [{"n": n}] * 20)
        index.delete([f"{n}-{m}" for m in range(10)])
        assert index.count() == 1 + 10 * (n + 1), "a write is visible when it returns"
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
