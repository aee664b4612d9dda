from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion import search
from lykeion.core import SILENT, Unsupported, digest_bytes
from lykeion.search.index import Photo as Stored
from lykeion.search.index import open_index
from lykeion.search.near_duplicates import COSINE, LIKENESS, Member, draw_groups, duplicates, groups_of, pairs_of
from lykeion.search.thumbnails import IN_INDEX, NO_THUMBNAILS, Thumbnails

from .copies import COPIES, Photo, thumbnail

FOLDER = Path(__file__).parents[1] / "photos"
CHINA, FLOWER, ROCKET, CAT = (
    Image.open(FOLDER / name).convert("RGB") for name in ("china.jpg", "flower.jpg", "rocket.jpg", "chelsea.png")
)


def make_index(path: Path, rows: list[tuple[str, str, float, Photo | None]]) -> Path:
    """An index of (product, photo's name, direction of its vector in degrees, thumbnail)."""
    angles = np.radians([degrees for _, _, degrees, _ in rows])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    with_photos = [Stored(name) for _, name, _, _ in rows]
    index = open_index(path, "w", dimension=2)
    index.upsert([id for id, _, _, _ in rows], vectors, photos=with_photos)
    index.close()
    file = IN_INDEX.of(path)
    assert file
    Thumbnails(file).put_many([(id, name, thumbnail(photo)) for id, name, _, photo in rows if photo])
    return path


def make_index_of_bytes(path: Path, rows: list[tuple[str, str, float, bytes]]) -> Path:
    """An index of (product, photo's name, direction of its vector in degrees, its bytes), without thumbnails."""
    angles = np.radians([degrees for _, _, degrees, _ in rows])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    with open_index(path, "w", dimension=2) as index:
        index.upsert(
            [id for id, _, _, _ in rows],
            vectors,
            photos=[Stored(name, digest_bytes(data)) for _, name, _, data in rows],
        )
    return path


def members(path: Path, **options: float | bool) -> list[list[Member]]:
    return [group.members for group in duplicates(path, **options)]  # pyright: ignore[reportArgumentType]


def test_the_photo_that_is_the_same_is_named_where_products_have_several(tmp_path: Path) -> None:
    shop = make_index(
        tmp_path / "shop.index",
        [
            ("a", "front.jpg", 0, CHINA),
            ("a", "back.jpg", 90, FLOWER),
            ("b", "1.jpg", 200, ROCKET),
            ("b", "2.jpg", 92, COPIES["cropped by 10 % around"](FLOWER)),
            ("b", "3.jpg", 300, CAT),
        ],
    )
    (group,) = duplicates(shop)
    assert group.members == [Member("a", "back.jpg"), Member("b", "2.jpg")]
    assert group.cosine == pytest.approx(np.cos(np.radians(2)), abs=2e-3)
    assert group.likeness is not None
    assert group.likeness > 0.975


def test_two_photos_of_one_product_are_no_duplicates(tmp_path: Path) -> None:
    assert members(make_index(tmp_path / "x.index", [("a", "1", 0, CHINA), ("a", "2", 0, CHINA)])) == []


def test_near_vectors_of_different_photos_are_no_duplicates(tmp_path: Path) -> None:
    assert members(make_index(tmp_path / "x.index", [("a", "", 0, CHINA), ("b", "", 0, FLOWER)])) == []


@pytest.mark.parametrize("colour", ["white", "black"])
def test_a_plain_photo_twice_is_a_duplicate(tmp_path: Path, colour: str) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64), colour).save(tmp_path / name)
    CAT.save(tmp_path / "c.png")
    search.add(tmp_path, tmp_path / "shop.index")
    (group,) = duplicates(tmp_path / "shop.index")
    assert [member.id for member in group.members] == ["a.png", "b.png"]
    assert group.likeness == 1


def test_the_same_bytes_are_duplicates_whatever_their_vectors_and_thumbnails(tmp_path: Path) -> None:
    shop = make_index_of_bytes(tmp_path / "x.index", [("a", "", 0, b"1"), ("b", "", 90, b"1"), ("c", "", 180, b"2")])
    (group,) = duplicates(shop, thumbnails=NO_THUMBNAILS)
    assert (group.members, group.cosine, group.likeness) == ([Member("a", ""), Member("b", "")], 1, 1)


def test_the_same_bytes_twice_in_one_product_are_no_duplicates_but_belong_to_a_group(tmp_path: Path) -> None:
    rows = [("a", "1", 0.0, b"1"), ("a", "2", 0.0, b"1"), ("b", "", 90.0, b"2"), ("b", "2", 90.0, b"2")]
    assert members(make_index_of_bytes(tmp_path / "x.index", rows)) == []
    near = make_index_of_bytes(tmp_path / "y.index", [*rows, ("c", "", 1.0, b"3")])
    assert members(near) == [[Member("a", "1"), Member("a", "2"), Member("c", "")]]


def test_a_hundred_copies_are_compared_once_and_hide_no_other(tmp_path: Path) -> None:
    copies = [(f"copy {n}", "", 0.0, b"copy") for n in range(100)]
    others = [("near", "", 4.0, b"near"), ("next", "", 8.0, b"next"), ("far", "", 90.0, b"far")]
    shop = make_index_of_bytes(tmp_path / "x.index", [*copies, *others])
    asked: list[str] = []

    def look(id: str, photo: str) -> bytes:
        asked.append(id)
        return thumbnail({"near": CHINA, "next": CHINA, "far": FLOWER}.get(id, CAT))

    with open_index(shop) as index, SILENT.progress("", 0) as progress:
        groups = groups_of(pairs_of(index, look, progress, cosine=COSINE, cosine_alone=2, alike=LIKENESS))
    assert [len(group.members) for group in groups] == [100, 2]
    assert sorted(asked) == ["copy 0", "near", "next"]


def test_without_thumbnails_only_nearly_equal_vectors_count(tmp_path: Path) -> None:
    shop = make_index(tmp_path / "x.index", [("a", "", 0, None), ("b", "", 10, CHINA), ("c", "", 40, FLOWER)])
    groups = duplicates(shop)
    assert [group.members for group in groups] == [[Member("a", ""), Member("b", "")]]
    assert groups[0].likeness is None
    assert members(shop, thumbnails=NO_THUMBNAILS) == [[Member("a", ""), Member("b", "")]]
    assert members(shop, cosine_alone=0.99) == []


def test_a_broken_thumbnail_counts_as_none(tmp_path: Path) -> None:
    shop = make_index(tmp_path / "x.index", [("a", "", 0, CHINA), ("b", "", 0, None)])
    Thumbnails(shop / "thumbnails.sqlite").put_many([("b", "", b"\xff\xd8\xff")])
    assert members(shop) == [[Member("a", ""), Member("b", "")]]


def test_copies_of_copies_are_one_group_and_larger_groups_come_first(tmp_path: Path) -> None:
    chain = [("a", "", 0, None), ("b", "", 15, None), ("c", "", 30, None)]  # a and c are too far for each other
    shop = make_index(tmp_path / "x.index", [("y", "", 180, None), ("z", "", 181, None), *chain])
    assert [[member.id for member in group] for group in members(shop)] == [["a", "b", "c"], ["y", "z"]]


def test_groups_are_drawn_even_where_there_are_none(tmp_path: Path) -> None:
    shop = make_index(tmp_path / "x.index", [("a", "", 0, CHINA), ("b", "", 0, CHINA)])
    draw_groups(tmp_path / "groups.png", duplicates(shop), Thumbnails(shop / "thumbnails.sqlite").get)
    draw_groups(tmp_path / "none.png", [], lambda id, photo: None)
    with Image.open(tmp_path / "groups.png") as groups, Image.open(tmp_path / "none.png") as none:
        assert groups.height > none.height


def test_an_index_of_distances_is_refused(tmp_path: Path) -> None:
    open_index(tmp_path / "l2.index", "w", dimension=2, metric="l2").close()
    with pytest.raises(Unsupported, match="l2"):
        duplicates(tmp_path / "l2.index")
