"""A data set ready for a network: three splits of photos in one frame."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion.core import CONSOLE, Reporter

from .errors import DataError
from .frame import Fit, Frame
from .labelled_sources import Images, LabelledSource, open_source
from .order import generator
from .photos import InMemory, Photos, open_files

VALIDATION_PARTS = 6
"""Without a validation split, one photo in so many is taken from training: 10,000 of Fashion-MNIST's 60,000."""
_SPLIT = 2
_DEFAULT_SIDE = 224


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """``test`` is for the last report only, and empty where the source has none.

    ``digest`` is that of all labels and pixels; of files, of all names, sizes and labels.
    ``skipped`` is how many files of a folder are no photos.
    """

    name: str
    classes: tuple[str, ...]
    frame: Frame
    train: Photos
    validation: Photos
    test: Photos
    digest: str
    skipped: int = 0


def load_data(
    path: str | Path,
    *,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    reporter: Reporter = CONSOLE,
) -> Dataset:
    """Read an image folder (a class a sub-folder), idx directory, npz file or manifest (CSV, JSON lines).

    The sizes are the network's; left out, they are the arrays' own, or 224 × 224 × 3 of files. ``fit`` says how
    photos get there; by default small arrays are padded, and all else is cut to the centre. Without a validation
    split, a sixth of the training photos is set aside, the same ones each time. Raises DataError, PhotoError.
    """
    source = open_source(Path(path))
    images, _ = source.splits["train"]
    own = images.shape[1:] if isinstance(images, np.ndarray) else (_DEFAULT_SIDE, _DEFAULT_SIDE, 3)
    size = (height or own[0], width or own[1], channels or own[2])
    frame = Frame(*size, fit or _usual_fit(images, size))
    if frame.fit == "pad" and not isinstance(images, np.ndarray):
        raise DataError(f"{path}: files have many sizes, so pad is not for them: choose centre, letterbox or stretch")
    splits = dict(source.splits)
    if "validation" not in splits:
        splits["train"], splits["validation"] = _set_aside(*splits["train"])
    splits.setdefault("test", _select(*splits["train"], np.arange(0)))
    train, validation, test = (_open(*splits[split], frame, reporter) for split in ("train", "validation", "test"))
    if not len(validation):
        raise DataError(f"{path}: {len(train)} photos are too few to set some aside for validation")
    skipped = _report_skipped(source, path, reporter)
    digest = _digest(source, Path(path))
    return Dataset(source.name, source.classes, frame, train, validation, test, digest, skipped)


def _report_skipped(source: LabelledSource, path: str | Path, reporter: Reporter) -> int:
    """How many files are no photos; a notice says which."""
    count = sum(source.skipped.values())
    if count:
        kinds = ", ".join(f"{number:,} {suffix or 'without suffix'}" for suffix, number in source.skipped.items())
        reporter.notice(f"notice: {path}: {count} files are no photos, and skipped: {kinds}")
    return count


def _usual_fit(images: Images, size: tuple[int, int, int]) -> Fit:
    if isinstance(images, np.ndarray):
        ratios = [ours / theirs for ours, theirs in zip(size[:2], images.shape[1:3], strict=True)]
        if all(1 <= ratio < 2 for ratio in ratios):
            return "pad"
    return "centre"


def _set_aside(images: Images, labels: np.ndarray) -> tuple[tuple[Images, np.ndarray], tuple[Images, np.ndarray]]:
    """Training and validation, each in the order of the source."""
    shuffled = generator(0, 0, _SPLIT).permutation(len(labels))
    aside = np.zeros(len(labels), bool)
    aside[shuffled[: len(labels) // VALIDATION_PARTS]] = True
    return _select(images, labels, np.flatnonzero(~aside)), _select(images, labels, np.flatnonzero(aside))


def _select(images: Images, labels: np.ndarray, places: np.ndarray) -> tuple[Images, np.ndarray]:
    chosen = images[places] if isinstance(images, np.ndarray) else tuple(images[place] for place in places)
    return chosen, labels[places]


def _open(images: Images, labels: np.ndarray, frame: Frame, reporter: Reporter) -> Photos:
    if isinstance(images, np.ndarray):
        return InMemory(frame.place(images), labels)
    return open_files(images, labels, frame, reporter=reporter)


def _digest(source: LabelledSource, path: Path) -> str:
    digest = hashlib.sha256("\0".join(source.classes).encode())
    for split, (images, labels) in sorted(source.splits.items()):
        digest.update(split.encode() + labels.astype("<i4").tobytes())
        if isinstance(images, np.ndarray):
            digest.update(np.ascontiguousarray(images).data)
        else:
            root = path if path.is_dir() else path.parent.resolve()
            for file in images:
                digest.update(os.fsencode(os.path.relpath(file, root)) + f"\0{_size(file)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from None
