import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.ingest import SourceError
from lykeion.search.ingest.listing import Pairs, Shard


@given(st.lists(st.text()), st.integers(1, 20))
def test_every_product_is_in_exactly_one_shard(ids: list[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for id in ids:
        assert sum(shard.holds(id) for shard in shards) == 1


def test_shards_are_the_same_on_every_machine_and_about_equal() -> None:
    assert [n for n in range(20) if Shard(3, 4).holds(f"product-{n}")] == [5, 6, 7, 8, 15, 17]
    sizes = [sum(Shard(number, 4).holds(str(n)) for n in range(4000)) for number in range(1, 5)]
    assert min(sizes) > 900


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "3/", "-1/4", "1/0", "²/4"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        Shard.parse(text)


@given(st.sets(st.tuples(st.text(), st.text())), st.sets(st.tuples(st.text(), st.text())))
def test_what_is_listed_is_never_missing_and_what_is_not_is(listed: set, asked: set) -> None:
    listing = Pairs()
    for id, photo in listed:
        listing.add(id, photo)
    pairs = sorted(listed | asked)
    missing = listing.missing([id for id, _ in pairs], [photo for _, photo in pairs])
    assert missing.dtype == np.bool_
    assert [pair for pair, gone in zip(pairs, missing, strict=True) if gone] == sorted(asked - listed)


@given(st.lists(st.tuples(st.text(), st.text())), st.lists(st.tuples(st.text(), st.text())))
def test_pairs_that_are_removed_are_missing_and_each_counts_once(added: list, removed: list) -> None:
    pairs, others = Pairs(), Pairs()
    for pair in added:
        pairs.add(*pair)
    for pair in removed:
        others.add(*pair)
    pairs.remove(others)
    assert len(pairs) == len(set(added) - set(removed))
    assert [not pairs.missing([first], [second])[0] for first, second in added] == [
        pair not in removed for pair in added
    ]
