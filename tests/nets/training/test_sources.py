import csv
import gzip
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lykeion.nets.training import DataError, InMemory, OnDisk, load_data, some
from lykeion.nets.training.sources.idx import read_idx
from tests.recorder import Recorder

from .tiny import quadrants, write_npz, write_photos

FASHION = Path("/usr/share/datasets/fashion-mnist")


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write_idx(directory: Path, *, packed: bool = False, test: bool = True) -> Path:
    for prefix, seed in (("train", 0), *([("t10k", 1)] if test else [])):
        images, labels = quadrants(36, seed)
        for name, array in ((f"{prefix}-images-idx3-ubyte", images[..., 0]), (f"{prefix}-labels-idx1-ubyte", labels)):
            content = gzip.compress(idx(array)) if packed else idx(array)
            (directory / (name + ".gz" * packed)).write_bytes(content)
    return directory


def write_manifest(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_name_that_is_no_utf_8_is_a_name(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", count=6)
    first = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    first.rename(os.fsdecode(os.fsencode(first.parent) + b"/\xff\xfe" + first.suffix.encode()))
    assert load_data(folder, height=8, width=8).digest.startswith("sha256:")


def test_some_photos_are_of_all_parts() -> None:
    labels = np.repeat(np.arange(5), 20)
    photos = InMemory(np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), labels)
    few = some(photos, 10)
    assert len(few) == 10
    assert set(few.labels) == {0, 1, 2, 3, 4}
    assert (few.read(np.array([0, 9])).reshape(-1) == [0, 99]).all()
    assert (some(photos, 500).labels == labels).all()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_and_gzipped(tmp_path: Path, packed: bool) -> None:
    data = load_data(write_idx(tmp_path, packed=packed))
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 6, 36)
    images, labels = quadrants(36, seed=1)
    assert (data.test.read(np.arange(36)) == images).all()
    assert (data.test.labels == labels).all()
    assert data.classes == ("0", "1", "2", "3")


@settings(max_examples=50)
@given(st.integers(0, 60), st.binary(max_size=8))
def test_an_idx_file_of_another_length_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, cut: int, more: bytes
) -> None:
    whole = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    path = tmp_path_factory.mktemp("idx") / "damaged-idx3-ubyte"
    path.write_bytes(whole[:cut] + more if cut >= 16 else whole[:cut])
    if path.stat().st_size == len(whole):
        assert read_idx(path, 3).shape == (2, 3, 4)
    else:
        with pytest.raises(DataError, match="damaged-idx3-ubyte"):
            read_idx(path, 3)


def test_an_idx_file_that_claims_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + b"\xff" * 12))
    with pytest.raises(DataError, match="are allowed"):
        read_idx(path, 3)


def test_npz_arrays_are_split_always_alike(tmp_path: Path) -> None:
    path = write_npz(tmp_path, 120)
    first, again = load_data(path), load_data(path)
    assert (len(first.train), len(first.validation), len(first.test)) == (100, 20, 60)
    assert (first.validation.labels == again.validation.labels).all()
    assert first.digest == again.digest
    images, _ = quadrants(120)
    both = np.concatenate([first.train.read(np.arange(100)), first.validation.read(np.arange(20))])
    assert sorted(map(bytes, both)) == sorted(map(bytes, images))


def test_a_validation_split_that_is_there_is_taken(tmp_path: Path) -> None:
    images, labels = quadrants(60)
    np.savez(tmp_path / "set.npz", x_train=images[5:], y_train=labels[5:, None], x_val=images[:5], y_val=labels[:5])
    data = load_data(tmp_path / "set.npz")
    assert (len(data.train), len(data.validation), len(data.test)) == (55, 5, 0)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros(3)},
        {"x_train": np.zeros((4, 8, 8), np.float32), "y_train": np.zeros(4, np.int64)},
        {"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(5, np.int64)},
        {"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.array([0, 1, 2, -1])},
        {"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.array([0, 1, 2, None], object)},
    ],
)
def test_an_npz_file_of_something_else_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "set.npz", **arrays)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"set\.npz"):
        load_data(tmp_path / "set.npz")


def test_an_npz_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", bytes(2**20))
    monkeypatch.setattr("lykeion.nets.training.sources.npz.MAX_BYTES", 2**19)
    with pytest.raises(DataError, match=r"unpacks to 1,048,576 bytes"):
        load_data(tmp_path / "bomb.npz")


@given(st.integers(0, 2**20), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_npz_file_damaged_anywhere_is_refused_or_read(tmp_path: Path, place: int, change: int) -> None:
    images, labels = quadrants(20)
    np.savez_compressed(tmp_path / "set.npz", x_train=images, y_train=labels)
    content = bytearray((tmp_path / "set.npz").read_bytes())
    content[place % len(content)] ^= change
    (tmp_path / "set.npz").write_bytes(content)
    said = "set.npz"
    try:
        load_data(tmp_path / "set.npz")
    except DataError as error:
        said = str(error)
    assert "set.npz" in said
    assert "\n" not in said


def test_a_folder_has_a_class_a_sub_folder(tmp_path: Path) -> None:
    data = load_data(write_photos(tmp_path / "photos"), height=16, width=12)
    assert data.classes == ("bag", "shoe")
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 4, 0)
    assert data.train.read(np.arange(3)).shape == (3, 16, 12, 3)
    green = data.train.read(np.arange(20))[..., 1].mean(axis=(1, 2))
    assert (green == 200 * data.train.labels).all()


def test_a_folder_may_have_its_splits(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("val", 3), ("test", 2)):
        write_photos(tmp_path / "photos" / split, count=count, shade=count)
    data = load_data(tmp_path / "photos", height=8, width=8, channels=1)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 6, 4)
    assert data.train.read(np.arange(1)).shape == (1, 8, 8, 1)


def test_a_set_too_large_for_memory_is_decoded_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_photos(tmp_path / "photos")
    held = load_data(folder, height=16, width=16)
    monkeypatch.setattr("lykeion.nets.training.photos.MEMORY_BYTES", 100)
    streamed = load_data(folder, height=16, width=16)
    assert isinstance(streamed.train, OnDisk)
    places = np.array([3, 0, 3, 19])
    assert (streamed.train.read(places) == held.train.read(places)).all()
    assert streamed.digest == held.digest


@pytest.mark.parametrize("name", ["photos.csv", "photos.jsonl"])
def test_a_manifest_says_path_label_and_split(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path)
    rows: list[dict[str, object]] = [
        {"path": f"{label}/{number}.png", "label": label, "split": ("train", "validation", "test")[number % 3]}
        for label in ("bag", "shoe")
        for number in range(9)
    ]
    data = load_data(write_manifest(tmp_path / name, rows), height=8, width=8)
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 6, 6)
    assert data.classes == ("bag", "shoe")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": "../secret.png", "label": "a"}, "leaves"),
        ({"path": "/etc/passwd", "label": "a"}, "leaves"),
        ({"label": "a"}, "no 'path'"),
        ({"path": "a.png", "label": "a", "split": "holdout"}, "must be train, validation or test"),
        ({"path": 3, "label": "a"}, "expected a path"),
    ],
)
def test_a_manifest_row_that_cannot_be_is_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    manifest = write_manifest(tmp_path / "photos.jsonl", [{"path": "ok.png", "label": "a"}, row])
    with pytest.raises(DataError, match=rf"photos\.jsonl: row 2.*{message}"):
        load_data(manifest, height=8, width=8)


def test_a_photo_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "bag" / "5.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"bag/5\.png"):
        load_data(tmp_path, height=8, width=8)


@pytest.mark.parametrize("name", ["nothing", "photos.txt", "empty"])
def test_what_is_no_data_set_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos.txt").write_text("x")
    with pytest.raises(DataError, match=name):
        load_data(tmp_path / name)


def test_small_arrays_are_padded_with_black_in_the_middle(tmp_path: Path) -> None:
    data = load_data(write_npz(tmp_path), height=10, width=12, channels=3)
    images, own = data.test.read(np.arange(60)), quadrants(60, seed=1)[0]
    assert data.frame.fit == "pad"
    assert (images[:, 1:9, 2:10] == own).all()
    assert images.sum() == 3 * own.sum(dtype=np.int64)


def test_arrays_are_resized_as_the_model_card_says(tmp_path: Path) -> None:
    data = load_data(write_npz(tmp_path), height=4, width=4, fit="stretch")
    photo = Image.fromarray(quadrants(60, seed=1)[0][0, ..., 0])
    assert (data.test.read(np.arange(1))[0, ..., 0] == photo.resize((4, 4), Image.Resampling.BILINEAR)).all()


def test_arrays_larger_than_the_network_are_not_padded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="choose --fit"):
        load_data(write_npz(tmp_path), height=4, width=4, fit="pad")


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs the package dataset-fashion-mnist")
def test_fashion_mnist_has_fifty_thousand_to_train_on_and_ten_to_validate() -> None:
    data = load_data(FASHION, height=32, width=32)
    assert (len(data.train), len(data.validation), len(data.test)) == (50_000, 10_000, 10_000)
    assert data.train.read(np.arange(2)).shape == (2, 32, 32, 1)
    assert np.bincount(data.validation.labels).min() > 900


def test_files_that_are_no_photos_are_counted_and_reported(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", count=6)
    some_class = next(folder.iterdir())
    for name in ("a.raw", "b.RAW", "notes.txt", ".hidden"):
        (some_class / name).write_bytes(b"it")
    heard = Recorder()
    ignored = load_data(folder, height=8, width=8, reporter=heard).ignored
    assert ignored == {"no photo (.raw)": 2, "no photo (.txt)": 1, "hidden or of the system": 1}
    (notice,) = heard.notices
    assert notice.startswith(f"notice: {folder}: ignored 4 files: ")
    assert "2 no photo (.raw)" in notice


@pytest.mark.parametrize("suffix", [".jpe", ".jfif", ".JPEG"])
def test_every_suffix_that_is_read_is_trained_on(suffix: str, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", count=6)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.rename(path.with_suffix(suffix))
    assert load_data(folder, height=8, width=8).ignored == {}
