"""Labelled photos in a folder: a class a sub-folder, or folders of splits with such sub-folders."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lykeion.nets.training.errors import DataError
from lykeion.vision import looks_like_photo, of_the_system, photo_suffixes

from .splits import LabelledSource, labelled, split_of

_OF_SYSTEM, _IN_NO_CLASS, _BESIDE = "hidden or of the system", "in no class", "beside the splits"


def read_folder(path: Path) -> LabelledSource:
    """A class a sub-folder; or ``train``, ``validation``, ``test`` with such sub-folders. Raises DataError."""
    ignored: Counter[str] = Counter()
    splits = _splits_in(path, ignored)
    rows = {
        split: [(file, label) for label, files in _classes_in(folder, ignored).items() for file in files]
        for split, folder in (splits or {"train": path}).items()
    }
    return labelled(path, rows, +ignored)


def _splits_in(path: Path, ignored: Counter[str]) -> dict[str, Path]:
    """The folders of splits; none where the sub-folders are classes."""
    folders = _folders(path)
    named = [folder for folder in folders if split_of(folder.name)]
    with_classes = [folder for folder in named if _folders(folder)]
    if not with_classes:
        if len(named) > 1 or named == folders != []:
            raise DataError(f"{named[0]}: has no sub-folders; a split has one for each class")
        return {}
    splits: dict[str, Path] = {}
    for folder in named:
        split = split_of(folder.name) or ""
        if folder not in with_classes and split == "test":  # not labelled, as in many a competition
            ignored[_IN_NO_CLASS] += len(_photos_in(folder, Counter()))
            continue
        if split in splits:
            raise DataError(f"{path}: {splits[split].name} and {folder.name} are both {split} photos; keep one")
        splits[split] = folder
    if "train" not in splits:
        raise DataError(f"{path}: has {with_classes[0].name} and no folder train; add it, or rename what is a class")
    for folder in folders:
        if folder not in named:
            ignored[_BESIDE] += len(_photos_in(folder, Counter()))
    _leave_loose(path, ignored)
    return splits


def _classes_in(folder: Path, ignored: Counter[str]) -> dict[str, list[Path]]:
    """The photos of each class, in the order of their names."""
    folders = _folders(folder)
    _leave_loose(folder, ignored)
    inner = [[below for below in _folders(one) if split_of(below.name) == "train"] for one in folders]
    if inner and all(inner):
        raise DataError(f"{inner[0][0]}: a split inside a class; make it {inner[0][0].name}/{folders[0].name}")
    found: dict[str, list[Path]] = {}
    for one in folders:
        others: Counter[str] = Counter()
        found[one.name] = _photos_in(one, others)
        if not found[one.name]:
            what = f"only {_counted(others)}" if others else "no files"
            raise DataError(f"{one}: a class without photos, {what}; fill it or remove it")
        ignored.update(others)
    return found


def _photos_in(folder: Path, ignored: Counter[str]) -> list[Path]:
    """All photos below a folder, in the order of their paths; what else is there is counted."""
    photos: list[Path] = []
    for directory, below, files in os.walk(folder, onerror=_refuse):
        for name in [name for name in below if of_the_system(name)]:
            below.remove(name)
            ignored[_OF_SYSTEM] += sum(len(files) for _, _, files in os.walk(Path(directory, name)))
        photos += _sorted_out((Path(directory, name) for name in files), ignored)
    return sorted(photos)


def _sorted_out(files: Iterable[Path], ignored: Counter[str]) -> list[Path]:
    photos: list[Path] = []
    for file in files:
        if of_the_system(file.name):
            ignored[_OF_SYSTEM] += 1
        elif _is_photo(file):
            photos.append(file)
        else:
            ignored[f"no photo ({file.suffix.lower() or 'without suffix'})"] += 1
    return photos


def _is_photo(file: Path) -> bool:
    """By its name, or else by how it begins; also one of a kind that is not read, whose owner will want to know."""
    try:
        if not file.is_file() or file.suffix.lower() in photo_suffixes():
            return file.is_file()
        with file.open("rb") as opened:
            return looks_like_photo(opened.read(16))
    except OSError:
        return False


def _leave_loose(folder: Path, ignored: Counter[str]) -> None:
    """Count what lies in a folder whose sub-folders are meant."""
    entries = sorted(folder.iterdir())
    ignored[_OF_SYSTEM] += sum(entry.is_dir() and of_the_system(entry.name) for entry in entries)
    ignored[_IN_NO_CLASS] += len(_sorted_out((entry for entry in entries if not entry.is_dir()), ignored))


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir() and not of_the_system(entry.name))
    except OSError as error:
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror or error})") from None


def _counted(ignored: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in ignored.items())
