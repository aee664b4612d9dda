"""Labelled photos by split, as their source has them, and what people call the splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lykeion.nets.training.errors import DataError

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What people call the splits, and what we do: the words of Hugging Face's datasets, here in any case."""
MAX_PHOTOS = 100_000_000

Images: TypeAlias = np.ndarray | tuple[Path, ...]
"""uint8 (n, height, width, channels), or files."""
Part: TypeAlias = tuple[Images, np.ndarray]
"""Images, and labels int32 (n,), places in classes."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSource:
    """``splits`` has "train", perhaps "validation" and "test".

    ``ignored`` counts the files that were passed over, by reason.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Part]
    ignored: Mapping[str, int] = field(default_factory=dict[str, int])


def split_of(name: str) -> str | None:
    """Which split a person means; None where it is no name of a split."""
    return SPLITS.get(name.strip().lower())


def labelled(
    path: Path, rows: Mapping[str, Sequence[tuple[Path, str]]], ignored: Mapping[str, int] | None = None
) -> LabelledSource:
    """Files and their labels by split, as a source. Raises DataError."""
    if not rows.get("train"):
        raise DataError(
            f"{path}: no photos to train on; a folder has a sub-folder for each class, a manifest path and label"
        )
    if (count := sum(map(len, rows.values()))) > MAX_PHOTOS:
        raise DataError(f"{path}: {count:,} photos; {MAX_PHOTOS:,} are allowed")
    classes = tuple(sorted({label for photos in rows.values() for _, label in photos}))
    place = {label: number for number, label in enumerate(classes)}
    splits: dict[str, Part] = {
        split: (tuple(file for file, _ in photos), np.array([place[label] for _, label in photos], np.int32))
        for split, photos in rows.items()
    }
    return LabelledSource(path.stem, classes, splits, ignored or {})


def select(part: Part, places: np.ndarray) -> Part:
    """The photos at these places, or where a mask is true."""
    images, labels = part
    if isinstance(images, np.ndarray):
        return images[places], labels[places]
    return tuple(images[place] for place in np.arange(len(labels))[places]), labels[places]
