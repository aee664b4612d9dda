"""Photos that are the same to the byte: under two labels or in two splits they make every figure doubtful."""

import stat
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lykeion.core import digest_bytes, digest_file

from .splits import Images, LabelledSource

Contents: TypeAlias = Mapping[str, np.ndarray]
"""By split a number for each photo, int64 (n,), which photos share that are the same to the byte."""
_KEPT = ("test", "validation", "train")
"""A photo in several splits is kept in the first of these."""


def contents_of(splits: Mapping[str, Images]) -> Contents:
    """Files are read only where another has as many bytes; one that cannot be read is like no other."""
    sizes = Counter(_size(image) for images in splits.values() for image in images)
    numbers: dict[object, int] = {}
    found: dict[str, np.ndarray] = {}
    for split, images in splits.items():
        keys = (
            _digest(image) if sizes[size] > 1 and size >= 0 else None for image in images for size in [_size(image)]
        )
        numbered = [numbers.setdefault(key or (split, place), len(numbers)) for place, key in enumerate(keys)]
        found[split] = np.array(numbered, np.int64)
    return found


def doubtful(source: LabelledSource, contents: Contents) -> dict[str, dict[int, str]]:
    """By split and place, which photos cannot be meant and why: all that are under two labels, and copies of a photo
    in another split than the one that keeps it."""
    copies: dict[int, list[tuple[str, int]]] = defaultdict(list)
    splits = [split for split in _KEPT if split in source.splits]
    together = np.concatenate([contents[split] for split in splits])
    repeated = np.flatnonzero(np.bincount(together) > 1)
    for split in splits:
        for place in np.flatnonzero(np.isin(contents[split], repeated)):
            copies[int(contents[split][place])].append((split, int(place)))
    found: dict[str, dict[int, str]] = {split: {} for split in splits}
    for group in copies.values():
        labels = {copy: source.classes[source.splits[copy[0]][1][copy[1]]] for copy in group}
        for copy in group:
            split, place = copy
            other = next((each for each in group if labels[each] != labels[copy]), group[0])
            if labels[other] != labels[copy]:
                is_what, and_what = f"has the label {labels[copy]!r}", f"has {labels[other]!r}"
            elif split != other[0]:
                is_what, and_what = f"is for {split}", f"is for {other[0]}"
            else:
                continue
            found[split][place] = (
                f"{_name(source, copy)} {is_what}; {_name(source, other)}, the same photo, {and_what}"
            )
    return found


def _name(source: LabelledSource, copy: tuple[str, int]) -> str:
    (split, place), images = copy, source.splits[copy[0]][0]
    return f"photo {place} of {split} in {source.name}" if isinstance(images, np.ndarray) else str(images[place])


def _size(image: np.ndarray | Path) -> int:
    """In bytes; −1 for what cannot be read."""
    if isinstance(image, np.ndarray):
        return image.nbytes
    try:
        found = image.stat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _digest(image: np.ndarray | Path) -> str | None:
    if isinstance(image, np.ndarray):
        return digest_bytes(image.tobytes())
    try:
        return digest_file(image)
    except OSError:
        return None
