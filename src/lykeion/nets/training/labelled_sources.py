"""Where training data comes from: a folder of photos, idx files, an npz file, or a manifest.

A source gives what it has, by split, before anything is done to it; nothing in it is trusted.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lykeion.core import first_line
from lykeion.vision import photo_suffixes

from .errors import DataError
from .idx import read_idx
from .npz import NpzError, read_npz

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
"""What people call the splits, and what we do."""
MAX_PHOTOS = 100_000_000
MAX_LINE = 2**16

Images: TypeAlias = np.ndarray | tuple[Path, ...]
"""uint8 (n, height, width, channels), or files."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSource:
    """``splits`` has "train", perhaps "validation" and "test": images, and labels int32 (n,), places in classes.

    ``skipped`` counts the files of a folder that are no photos, by how their names end.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Images, np.ndarray]]
    skipped: Mapping[str, int] = field(default_factory=dict[str, int])


def open_source(path: Path) -> LabelledSource:
    """The source at a path, by what it is. Raises DataError."""
    if path.is_dir():
        is_idx = any(path.glob("*-idx3-ubyte*"))
        return _read_idx_directory(path) if is_idx else _list_folder(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise DataError(f"{path}: neither a folder nor a file of {', '.join(_READERS)}")
    return reader(path)


def _read_idx_directory(path: Path) -> LabelledSource:
    """``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same of ``t10k``, each perhaps with .gz."""
    splits: dict[str, tuple[Images, np.ndarray]] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        files = [_idx_file(path, f"{prefix}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        if split == "test" and None in files:
            continue
        images, labels = (file and read_idx(file, dimensions) for file, dimensions in zip(files, (3, 1), strict=True))
        if images is None or labels is None:
            raise DataError(
                f"{path}: lacks {prefix}-images-idx3-ubyte or {prefix}-labels-idx1-ubyte, with or without .gz"
            )
        splits[split] = _checked(path, images[..., None], labels)
    return _numbered(path, splits)


def _idx_file(directory: Path, name: str) -> Path | None:
    return next((file for file in (directory / name, directory / f"{name}.gz") if file.is_file()), None)


def _read_npz(path: Path) -> LabelledSource:
    """Arrays ``x_train`` and ``y_train``; perhaps also of ``validation`` and ``test``. Named as in Keras' sets."""
    splits: dict[str, tuple[Images, np.ndarray]] = {}
    try:
        arrays = read_npz(path, {f"{axis}_{split}" for axis in "xy" for split in SPLITS})
        for theirs, ours in SPLITS.items():
            if f"x_{theirs}" in arrays:
                labels = arrays[f"y_{theirs}"].reshape(-1)
                splits[ours] = _checked(path, arrays[f"x_{theirs}"], labels)
    except NpzError as error:
        raise DataError(f"{path}: not an npz file ({error})") from None
    except KeyError as error:
        raise DataError(f"{path}: has no array {error}") from None
    if "train" not in splits:
        raise DataError(f"{path}: has no arrays x_train and y_train")
    return _numbered(path, splits)


def _checked(path: Path, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images[:1].size:
        raise DataError(
            f"{path}: images are {images.dtype} {images.shape}; expected uint8 (n, height, width, 1 or 3)"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1] or not len(labels):
        raise DataError(f"{path}: labels are {labels.dtype} {labels.shape} for {len(images):,} images")
    if labels.min() < 0 or labels.max() > 65_535:
        raise DataError(f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to 65,535")
    return images, labels.astype(np.int32)


def _numbered(path: Path, splits: Mapping[str, tuple[Images, np.ndarray]]) -> LabelledSource:
    count = 1 + max(int(labels.max()) for _, labels in splits.values())
    return LabelledSource(path.stem, tuple(str(number) for number in range(count)), splits)


def _list_folder(path: Path) -> LabelledSource:
    """A class a sub-folder; or ``train``, ``validation``, ``test`` with such sub-folders."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if any(SPLITS.get(folder.name) == "train" for folder in folders):
        named = {SPLITS[folder.name]: folder for folder in folders if folder.name in SPLITS}
    else:
        named = {"train": path}
    skipped: Counter[str] = Counter()
    return _labelled(path, {split: _photos_in(folder, skipped) for split, folder in named.items()}, skipped)


def _photos_in(folder: Path, skipped: Counter[str]) -> Iterator[tuple[Path, str]]:
    suffixes = photo_suffixes()
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            for file in sorted(entry.rglob("*")):
                if not file.is_file():
                    continue
                if (suffix := file.suffix.lower()) in suffixes:
                    yield file, entry.name
                elif not file.name.startswith("."):
                    skipped[suffix] += 1


def _read_csv(path: Path) -> LabelledSource:
    """A header with ``path``, ``label`` and perhaps ``split``; UTF-8, commas."""

    def rows() -> Iterator[Mapping[str, Any]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)

    return _read_rows(path, rows)


def _read_json_lines(path: Path) -> LabelledSource:
    """An object a line with "path", "label" and perhaps "split"."""

    def rows() -> Iterator[Mapping[str, Any]]:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise ValueError(f"a line of more than {MAX_LINE:,} bytes")
                if line.strip():
                    yield json.loads(line)

    return _read_rows(path, rows)


def _read_rows(path: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> LabelledSource:
    root = path.parent.resolve()
    found: dict[str, list[tuple[Path, str]]] = {}
    number = 0
    try:
        for row in rows():
            number += 1
            photo, label, split = row["path"], row["label"], row.get("split") or "train"
            if not isinstance(photo, str) or not isinstance(label, str | int) or split not in SPLITS:
                raise ValueError("expected path, label, and a split of train, validation or test")
            file = (root / photo).resolve()
            if not file.is_relative_to(root):
                raise ValueError(f"path {photo[:200]!r} leaves {root}")
            found.setdefault(SPLITS[split], []).append((file, str(label)))
    except KeyError as error:
        raise DataError(f"{path}: row {number} has no {error}; columns are path, label, split") from None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, csv.Error) as error:
        raise DataError(f"{path}: row {number}: {first_line(error)}") from None
    return _labelled(path, found)


def _labelled(
    path: Path, found: Mapping[str, Iterable[tuple[Path, str]]], skipped: Mapping[str, int] | None = None
) -> LabelledSource:
    rows = {split: list(photos) for split, photos in found.items()}
    if not rows.get("train"):
        raise DataError(
            f"{path}: no photos to train on; a folder has a sub-folder a class, a manifest path and label"
        )
    if (count := sum(map(len, rows.values()))) > MAX_PHOTOS:
        raise DataError(f"{path}: {count:,} photos; {MAX_PHOTOS:,} are allowed")
    classes = tuple(sorted({label for photos in rows.values() for _, label in photos}))
    place = {label: number for number, label in enumerate(classes)}
    return LabelledSource(
        path.stem,
        classes,
        {
            split: (tuple(file for file, _ in photos), np.array([place[label] for _, label in photos], np.int32))
            for split, photos in rows.items()
        },
        skipped or {},
    )


_READERS: dict[str, Callable[[Path], LabelledSource]] = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
}
