"""Labelled photos are read as they are meant, or refused; nothing is trained on in silence that was not meant."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lykeion.nets.training import DataError, Dataset, load_data
from lykeion.nets.training.sources.validation_split import set_aside
from tests.recorder import Recorder

from .tiny import quadrants, write_photos


def load(folder: Path, *, skip_bad: bool = False, reporter: Recorder | None = None) -> Dataset:
    return load_data(folder, height=8, width=8, skip_bad=skip_bad, reporter=reporter or Recorder())


def photo(path: Path, shade: int = 7, form: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (shade, 1, 2)).save(path, form)
    return path


def sizes(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def in_splits(folder: Path, *names: str) -> Path:
    """A class each of bag and shoe in each split, and no photo twice."""
    for place, name in enumerate(names):
        for label, shade in (("bag", 10), ("shoe", 90)):
            for number in range(6 - place):
                photo(folder / name / label / f"{number}.png", shade + 20 * place + number)
    return folder


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("training", "dev", "testing"), ("Train", "Val", "Test"), ("TRAIN", "Valid", "eval")],
)
def test_splits_are_known_by_every_usual_name_in_any_case(names: tuple[str, ...], tmp_path: Path) -> None:
    data = load(in_splits(tmp_path, *names))
    assert data.classes == ("bag", "shoe")
    assert sizes(data) == (12, 10, 8)


@pytest.mark.parametrize("written", ["Training", " test ", "DEV"])
def test_a_manifest_calls_splits_by_the_same_names(written: str, tmp_path: Path) -> None:
    write_photos(tmp_path)
    rows = [
        {"path": f"{label}/{number}.png", "label": label, "split": written if number < 3 else "train"}
        for label in ("bag", "shoe")
        for number in range(12)
    ]
    (tmp_path / "photos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = {"Training": (20, 4, 0), " test ": (15, 3, 6), "DEV": (18, 6, 0)}[written]
    assert sizes(load(tmp_path / "photos.jsonl")) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "Train"), "both train photos"),
        (("train", "val", "dev"), "both validation photos"),
        (("val", "test"), "no folder train"),
    ],
)
def test_splits_that_cannot_be_meant_are_refused(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load(in_splits(tmp_path, *names))


def test_splits_inside_classes_are_refused(tmp_path: Path) -> None:
    for label in ("bag", "shoe"):
        for split in ("train", "test"):
            photo(tmp_path / label / split / "1.png")
    with pytest.raises(DataError, match="bag/train: a split inside a class; make it train/bag"):
        load(tmp_path)


def test_splits_without_classes_are_refused(tmp_path: Path) -> None:
    photo(tmp_path / "train" / "bag-1.png")
    photo(tmp_path / "test" / "1.png", 8)
    with pytest.raises(DataError, match="test: has no sub-folders; a split has one for each class"):
        load(tmp_path)


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    """Vehicles: cars and trains."""
    assert load(write_photos(tmp_path, classes=("car", "train"))).classes == ("car", "train")


def test_test_photos_without_labels_and_folders_beside_the_splits_are_counted(tmp_path: Path) -> None:
    in_splits(tmp_path, "train", "val")
    photo(tmp_path / "test" / "unknown.png", 200)
    photo(tmp_path / "new" / "unknown.png", 201)
    photo(tmp_path / "train" / "loose.png", 202)
    data = load(tmp_path)
    assert sizes(data) == (12, 10, 0)
    assert data.ignored == {"in no class": 2, "beside the splits": 1}


@pytest.mark.parametrize("name", ["__MACOSX", ".ipynb_checkpoints", "@eaDir"])
def test_folders_of_the_system_are_no_classes_and_hold_no_photos(name: str, tmp_path: Path) -> None:
    write_photos(tmp_path)
    photo(tmp_path / name / "1.png")
    photo(tmp_path / "bag" / name / "1.png")
    (tmp_path / "bag" / "._1.jpg").write_bytes(b"\0\5\x16\7")
    data = load(tmp_path)
    assert data.classes == ("bag", "shoe")
    assert sum(sizes(data)) == 24
    assert data.ignored == {"hidden or of the system": 3}


def test_a_photo_is_known_by_its_content_where_its_name_says_nothing(tmp_path: Path) -> None:
    write_photos(tmp_path, count=6)
    for number in range(6):
        photo(tmp_path / "hat" / f"{number:032x}", number, "JPEG")
    assert load(tmp_path).classes == ("bag", "hat", "shoe")


@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_a_photo_in_a_format_that_is_not_read_is_an_error(suffix: str, tmp_path: Path) -> None:
    write_photos(tmp_path)
    photo(tmp_path / "bag" / f"x{suffix}")
    with pytest.raises(DataError, match=rf"x\{suffix}: not a photo in JPEG.*--skip-bad"):
        load(tmp_path)
    data = load(tmp_path, skip_bad=True)
    assert sum(sizes(data)) == 24
    assert len(data.skipped) == 1


def test_a_class_without_a_photo_that_is_read_is_an_error(tmp_path: Path) -> None:
    write_photos(tmp_path)
    photo(tmp_path / "hat" / "1.bmp")
    with pytest.raises(DataError, match="class 'hat' has no photo to train on"):
        load(tmp_path, skip_bad=True)
    (tmp_path / "hat" / "1.bmp").write_text("notes")
    with pytest.raises(DataError, match=r"hat: a class without photos, only 1 no photo \(\.bmp\)"):
        load(tmp_path, skip_bad=True)


def test_bad_photos_are_left_out_and_named_where_that_is_asked_for(tmp_path: Path) -> None:
    write_photos(tmp_path)
    for number in range(11):
        (tmp_path / "bag" / f"broken-{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes([number]))
    with pytest.raises(DataError, match=r"broken-.*\.jpg: .*; 10 more cannot be used; .*--skip-bad"):
        load(tmp_path)
    heard = Recorder()
    data = load(tmp_path, skip_bad=True, reporter=heard)
    assert len(data.skipped) == 11
    assert [line for line in heard.notices if line.startswith("skipped: ")][-1] == "skipped: 1 more"
    shutil.rmtree(tmp_path / "bag")
    write_photos(tmp_path, classes=("bag",))
    assert load(tmp_path).digest.startswith("sha256:")


def test_bad_photos_of_a_set_too_large_for_memory_are_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path)
    (tmp_path / "bag" / "3.png").write_bytes(b"no photo")
    held = load(tmp_path, skip_bad=True)
    monkeypatch.setattr("lykeion.nets.training.photos.MEMORY_BYTES", 100)
    streamed = load(tmp_path, skip_bad=True)
    assert (streamed.digest, streamed.skipped) == (held.digest, held.skipped)
    everything = np.arange(len(held.train))
    assert (streamed.train.read(everything) == held.train.read(everything)).all()


def test_a_photo_under_two_labels_is_an_error_and_left_out_of_both(tmp_path: Path) -> None:
    write_photos(tmp_path)
    shutil.copy(tmp_path / "bag" / "3.png", tmp_path / "shoe" / "copy.png")
    with pytest.raises(
        DataError, match=r"3\.png has the label 'bag'; .*copy\.png, the same photo, has 'shoe'; 1 more.*--skip-bad"
    ):
        load(tmp_path)
    data = load(tmp_path, skip_bad=True)
    assert sum(sizes(data)) == 23
    assert len(data.skipped) == 2


@pytest.mark.parametrize(("first", "second"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_a_photo_in_two_splits_is_an_error_and_kept_for_judging(first: str, second: str, tmp_path: Path) -> None:
    before = sizes(load(in_splits(tmp_path, "train", "val", "test")))
    shutil.copy(tmp_path / second / "bag" / "3.png", tmp_path / first / "bag" / "copy.png")
    with pytest.raises(DataError, match=rf"{first}/bag/copy\.png is for .*{second}/bag/3\.png, the same photo"):
        load(tmp_path)
    data = load(tmp_path, skip_bad=True)
    assert sizes(data) == before
    assert len(data.skipped) == 1


def test_arrays_in_two_splits_are_an_error_too(tmp_path: Path) -> None:
    images, labels = quadrants(20)
    np.savez(tmp_path / "set.npz", x_train=images, y_train=labels, x_val=images[5:7], y_val=labels[5:7])
    with pytest.raises(
        DataError, match="photo 5 of train in set is for train; photo 0 of validation in set, the same photo"
    ):
        load(tmp_path / "set.npz")


def test_one_class_alone_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all photos are of one class, 'bag'"):
        load(write_photos(tmp_path, classes=("bag",)))


def test_a_class_that_only_validation_has_is_an_error(tmp_path: Path) -> None:
    in_splits(tmp_path, "train", "val")
    photo(tmp_path / "val" / "hat" / "1.png", 222)
    with pytest.raises(DataError, match="class 'hat' has no photo to train on"):
        load(tmp_path)


def test_labels_are_read_without_the_spaces_around_them(tmp_path: Path) -> None:
    write_photos(tmp_path)
    rows = [f"{label}/{n}.png,{' ' * (n % 2)}{label}{' ' * (n % 3)}" for label in ("bag", "shoe") for n in range(12)]
    (tmp_path / "photos.csv").write_text("path, label\n" + "\n".join(rows))
    assert load(tmp_path / "photos.csv").classes == ("bag", "shoe")


@pytest.mark.parametrize("label", ["", "  ", True, None, 1.5])
def test_an_empty_label_or_one_that_is_no_text_is_an_error(label: object, tmp_path: Path) -> None:
    (tmp_path / "photos.jsonl").write_text(json.dumps({"path": "1.png", "label": label}))
    with pytest.raises(DataError, match="row 1: "):
        load(tmp_path / "photos.jsonl")


def test_numbers_that_no_photo_has_are_no_classes(tmp_path: Path) -> None:
    images, labels = quadrants(60)
    np.savez(tmp_path / "set.npz", x_train=images, y_train=np.where(labels > 1, 60_000, 0))
    assert load(tmp_path / "set.npz").classes == ("0", "60000")


@given(st.lists(st.integers(0, 5), min_size=6, max_size=200), st.data())
def test_each_class_gives_its_share_to_validation_and_copies_stay_together(
    drawn: list[int], data: st.DataObject
) -> None:
    labels = np.array(drawn)
    copied = data.draw(st.lists(st.integers(0, len(drawn) - 1), max_size=4))
    contents = np.arange(len(labels))
    for place in copied:  # the next photo of its class is the same
        contents[np.flatnonzero(labels == labels[place])[0]] = contents[place]
    aside = set_aside(labels, contents)
    for label, count in Counter(drawn).items():
        chosen = int(aside[labels == label].sum())
        assert chosen < count
        assert chosen <= -(-count // 6)
        if not copied and count >= 6:
            assert chosen >= count // 6
    assert not set(contents[aside]) & set(contents[~aside])
    assert copied or aside.sum() <= len(labels) // 6


def test_a_table_can_be_made_of_classes_and_splits(tmp_path: Path) -> None:
    assert load(in_splits(tmp_path, "train", "val")).counts() == {"bag": (6, 5, 0), "shoe": (6, 5, 0)}
