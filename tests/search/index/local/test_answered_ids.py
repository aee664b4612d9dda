"""Ids of answers are those that were stored, whichever way they are read: by the kernel or one by one."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from .indexes import open_local

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100) | st.just("a\0b")


@given(st.lists(IDS, min_size=1, max_size=40, unique=True), st.integers(0, 5), st.integers(1, 50))
def test_ids_of_any_text_are_answered(ids: list[str], in_memory: int, k: int) -> None:
    vectors = np.eye(len(ids), 40, dtype=np.float32)
    with (
        tempfile.TemporaryDirectory() as directory,
        open_local(Path(directory, "shop.index"), dimension=40, background=False) as index,
    ):
        stored = max(0, len(ids) - in_memory)
        index.upsert(ids[:stored], vectors[:stored])
        index.compact()
        index.upsert(ids[stored:], vectors[stored:])
        for attributes in (True, False):
            for id, vector in zip(ids, vectors, strict=True):
                (hits,) = index.search(vector[None], k, attributes=attributes)
                assert hits[0].id == id
                assert {hit.id for hit in hits} <= set(ids)
                assert len(hits) == min(k, len(ids))


def test_ids_longer_than_the_room_for_them_are_answered(tmp_path: Path) -> None:
    ids = [f"{n:03}" + "x" * 509 for n in range(200)]
    vectors = np.eye(200, dtype=np.float32)
    with open_local(tmp_path / "shop.index", dimension=200, background=False) as index:
        index.upsert(ids, vectors)
        index.compact()
        (hits,) = index.search(vectors[:1], 200, attributes=False)
    assert sorted(hit.id for hit in hits) == ids
