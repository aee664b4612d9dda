import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lykeion.core.pictures import PictureError
from lykeion.search.evaluation import evaluate
from lykeion.search.index import Hit, Index, Photo, open_index
from lykeion.search.truth import TruthError


def on_the_circle(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane: the smaller the angle between two, the nearer."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Index]:
    """Bags at 0, 1 and 5 degrees, a shoe at 2 and one at 90."""
    index = open_index(tmp_path / "shop.index", "w", dimension=2)
    kinds = ["bag", "bag", "bag", "shoe", "shoe"]
    index.upsert(["b0", "b1", "b5", "s2", "s90"], on_the_circle(0, 1, 5, 2, 90), [{"kind": kind} for kind in kinds])
    yield index
    index.close()


def test_an_exact_index_has_recall_one_against_exact_search(shop: Index) -> None:
    result = evaluate(shop, "exact", k=2)
    assert result.queries == 5
    assert result.measures == {"recall@2": 1, "precision@2": 1, "hit rate@2": 1, "nDCG@2": 1, "MAP@R": 1}


def test_recall_against_exact_search_is_that_of_the_answers(shop: Index) -> None:
    class Forgetful:
        """Never finds b1."""

        metric, dimension, scan = shop.metric, shop.dimension, shop.scan

        def search(self, queries: np.ndarray, k: int) -> list[list[Hit]]:
            return [[hit for hit in hits if hit.id != "b1"][:k] for hits in shop.search(queries, k + 1)]

    # Nearest two: b0: b1 s2; b1: b0 s2; b5: s2 b1; s2: b1 b0; s90: b5 s2. b1 is missed by three of five queries.
    result = evaluate(Forgetful(), "exact", k=2)  # pyright: ignore[reportArgumentType]
    assert result.measures["recall@2"] == pytest.approx((0.5 + 1 + 0.5 + 0.5 + 1) / 5)


def test_an_answer_as_near_as_the_kth_is_as_good(tmp_path: Path) -> None:
    index = open_index(tmp_path / "twins.index", "w", dimension=2)
    index.upsert([f"twin{n}" for n in range(20)], on_the_circle(*[0] * 20))
    assert evaluate(index, "exact", k=3).measures["recall@3"] == 1
    index.close()


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_exact_search_takes_each_product_once_by_its_best_photo(tmp_path: Path, metric: str) -> None:
    rng = np.random.default_rng(5)
    index = open_index(tmp_path / "many.index", "w", dimension=8, metric=metric)  # pyright: ignore[reportArgumentType]
    ids = [f"p{n // 4}" for n in range(200)]
    index.upsert(ids, rng.normal(size=(200, 8)).astype(np.float32), photos=[Photo(str(n)) for n in range(200)])
    assert evaluate(index, "exact", k=7).measures["recall@7"] == 1
    index.close()


def test_labels_make_products_of_the_same_value_relevant(shop: Index) -> None:
    # Answers, best first, and R: b0: b1 s2 b5 (2); b1: b0 s2 b5 (2; 0 and 2 degrees tie); b5: s2 b1 b0 (2);
    # s2: b1 b0 b5 s90 (1); s90: b5 s2 (1).
    result = evaluate(shop, "label:kind", k=3)
    assert result.queries == 5
    assert result.measures["recall@3"] == pytest.approx((1 + 1 + 1 + 0 + 1) / 5)
    assert result.measures["hit rate@3"] == pytest.approx(4 / 5)
    assert result.measures["precision@3"] == pytest.approx((2 + 2 + 2 + 0 + 1) / 3 / 5)


def test_a_column_the_index_lacks_is_named_with_those_it_has(shop: Index) -> None:
    with pytest.raises(TruthError, match="no attribute 'brand' in the index; there are kind"):
        evaluate(shop, "label:brand")


def test_pairs_are_graded_and_exclude_the_query(shop: Index, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("query_id,relevant_id,grade\nb0,b0,9\nb0,b1,1\nb0,b5,2\ns90,b1,0\n")
    result = evaluate(shop, pairs, k=1)  # b0 finds b1, grade 1, where b5 of grade 2 would be best
    assert result.queries == 1
    assert result.measures["recall@1"] == 0.5
    assert result.measures["nDCG@1"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,relevant\na,b\n", "line 2 lacks query_id or relevant_id"),
        ("query_id,relevant_id,grade\nb0,b1,nan\n", "line 2: a grade is a number from 0 to 100"),
        ("query_id,relevant_id,grade\nb0,b1,good\n", "not a readable CSV of pairs"),
        ("query_id,relevant_id\nnobody,b1\n", "query 'nobody' is not in the index"),
        ("query_id,relevant_id\n", "no product of the index has a relevant product there"),
    ],
)
def test_pairs_that_make_no_sense_are_an_error_that_names_the_place(
    shop: Index, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(TruthError, match=message):
        evaluate(shop, tmp_path / "pairs.csv")


def test_a_path_that_is_not_there_is_an_error_that_names_it(shop: Index, tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"nowhere\.csv"):
        evaluate(shop, tmp_path / "nowhere.csv")


def test_an_index_can_be_named_by_its_path(shop: Index, tmp_path: Path) -> None:
    assert evaluate(tmp_path / "shop.index", "exact", k=2).queries == 5


def test_the_sample_is_the_same_each_time(shop: Index) -> None:
    assert evaluate(shop, "label:kind", queries=2).measures == evaluate(shop, "label:kind", queries=2).measures


@pytest.mark.slow
def test_a_result_is_json_a_table_and_a_plot(shop: Index, tmp_path: Path) -> None:
    result = evaluate(shop, "label:kind", k=2)
    document = json.loads(json.dumps(result.to_json()))
    assert document["queries"] == 5
    assert set(document["latency_ms"]) == {"p50", "p90", "p99"}
    assert len(document["curves"]["recall"]) == 2
    assert ("queries", "5") in result.table()
    result.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PictureError, match=r"^/dev/null/plot\.png: cannot be written: "):
        result.plot(Path("/dev/null/plot.png"))
