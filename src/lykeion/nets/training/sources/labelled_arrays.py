"""Labelled photos as arrays: idx files and npz files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lykeion.nets.training.errors import DataError

from .idx import read_idx
from .npz import NpzError, read_npz
from .splits import SPLITS, LabelledSource

MAX_LABEL = 65_535


def read_idx_directory(path: Path) -> LabelledSource:
    """``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same of ``t10k``, each perhaps with .gz.

    Raises DataError.
    """
    splits: dict[str, tuple[np.ndarray, np.ndarray]] = {}
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


def read_npz_file(path: Path) -> LabelledSource:
    """Arrays ``x_train`` and ``y_train``; perhaps also of ``validation`` and ``test``. Named as in Keras' sets.

    Raises DataError.
    """
    splits: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    try:
        arrays = read_npz(path, {f"{axis}_{split}" for axis in "xy" for split in SPLITS})
        for theirs, ours in SPLITS.items():
            if f"x_{theirs}" in arrays:
                if ours in splits:
                    raise DataError(f"{path}: has {ours} photos under two names, one of them x_{theirs}; keep one")
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
    if labels.min() < 0 or labels.max() > MAX_LABEL:
        raise DataError(f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to {MAX_LABEL:,}")
    return images, labels.astype(np.int32)


def _numbered(path: Path, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> LabelledSource:
    """A class for each number that occurs."""
    numbers = np.unique(np.concatenate([labels for _, labels in splits.values()]))
    placed = {
        split: (images, np.searchsorted(numbers, labels).astype(np.int32))
        for split, (images, labels) in splits.items()
    }
    return LabelledSource(path.stem, tuple(map(str, numbers)), placed)
