"""A data set for a network: three splits of photos of one size."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lykeion.core import CONSOLE, Reporter

from .errors import DataError
from .frame import Fit, Frame
from .photos import ADVICE, InMemory, Opened, Photos, chosen, open_files
from .sources.identical_photos import contents_of, doubtful
from .sources.labelled_sources import open_source
from .sources.splits import Images, LabelledSource, Part, select
from .sources.validation_split import set_aside

SPLIT_NAMES = ("train", "validation", "test")
_DEFAULT_SIDE = 224
_NAMED = 10
"""So many of the photos that are left out are named."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """``test`` is only for the final report, and empty if the source has none.

    ``digest`` is that of all labels and pixels; of files, of all names, sizes and labels. ``ignored`` counts the
    files of a folder that were passed over, by reason; ``skipped`` says of each photo that was left out why.
    """

    name: str
    classes: tuple[str, ...]
    frame: Frame
    train: Photos
    validation: Photos
    test: Photos
    digest: str
    ignored: Mapping[str, int] = field(default_factory=dict[str, int])
    skipped: tuple[str, ...] = ()

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Photos of each class in training, validation and test."""
        columns = [
            np.bincount(photos.labels, minlength=len(self.classes))
            for photos in (self.train, self.validation, self.test)
        ]
        return {name: (int(a), int(b), int(c)) for name, a, b, c in zip(self.classes, *columns, strict=True)}


def load_data(
    path: str | Path,
    *,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    skip_bad: bool = False,
    reporter: Reporter = CONSOLE,
) -> Dataset:
    """Read an image folder (a sub-folder per class), idx directory, npz file or manifest (CSV, JSON lines).

    The sizes are the network's; by default those of the arrays, or 224 × 224 × 3 for files. ``fit`` says how photos
    are fitted; by default small arrays are padded, and all others are centre-cropped. Without a validation
    split, a sixth of the training photos of each class is set aside, the same ones each time.

    Photos that cannot be decoded, and those that are the same to the byte under two labels or in two splits, are
    errors; with ``skip_bad`` they are left out. Raises DataError.
    """
    path = Path(path)
    source = open_source(path)
    images, _ = source.splits["train"]
    own = images.shape[1:] if isinstance(images, np.ndarray) else (_DEFAULT_SIDE, _DEFAULT_SIDE, 3)
    size = (height or own[0], width or own[1], channels or own[2])
    frame = Frame(*size, fit or _usual_fit(images, size))
    if frame.fit == "pad" and not isinstance(images, np.ndarray):
        raise DataError(f"{path}: files differ in size, so pad cannot be used: choose centre, letterbox or stretch")
    contents = contents_of({split: images for split, (images, _) in source.splits.items()})
    opened, bad = _open(source, frame, skip_bad, reporter)
    for split, found in doubtful(source, contents).items():
        bad[split] |= found
    skipped = tuple(line for found in bad.values() for line in found.values())
    if skipped and not skip_bad:
        more = f"; {len(skipped) - 1:,} more cannot be used" if skipped[1:] else ""
        raise DataError(f"{skipped[0]}{more}; {ADVICE}")
    places = {split: np.delete(np.arange(len(part[1])), list(bad[split])) for split, part in source.splits.items()}
    if "validation" not in places:
        everything, labels = places["train"], source.splits["train"][1]
        aside = set_aside(labels[everything], contents["train"][everything])
        places |= {"train": everything[~aside], "validation": everything[aside]}
    places.setdefault("test", np.arange(0))
    origin = {split: split if split in opened else "train" for split in SPLIT_NAMES}
    photos = {split: chosen(opened[origin[split]], places[split]) for split in SPLIT_NAMES}
    parts = {split: select(source.splits[origin[split]], places[split]) for split in SPLIT_NAMES}
    digest = _digest(source.classes, parts, path)
    data = Dataset(
        source.name, source.classes, frame, **photos, digest=digest, ignored=source.ignored, skipped=skipped
    )
    _check_classes(data, path)
    _report(data, path, reporter)
    return data


def _usual_fit(images: Images, size: tuple[int, int, int]) -> Fit:
    if isinstance(images, np.ndarray):
        ratios = [ours / theirs for ours, theirs in zip(size[:2], images.shape[1:3], strict=True)]
        if all(1 <= ratio < 2 for ratio in ratios):
            return "pad"
    return "centre"


def _open(
    source: LabelledSource, frame: Frame, check: bool, reporter: Reporter
) -> tuple[dict[str, Opened], dict[str, dict[int, str]]]:
    """By split, the photos, and at which places they cannot be decoded and why."""
    opened: dict[str, Opened] = {}
    bad: dict[str, dict[int, str]] = {}
    for split, (images, labels) in source.splits.items():
        if isinstance(images, np.ndarray):
            opened[split], bad[split] = InMemory(frame.place(images), labels), {}
        else:
            opened[split], bad[split] = open_files(images, labels, frame, check=check, reporter=reporter)
    return opened, bad


def _check_classes(data: Dataset, path: Path) -> None:
    """Raises DataError where nothing can be learned."""
    if not len(data.train):
        raise DataError(f"{path}: no photos to train on are left")
    if len(data.classes) == 1:
        raise DataError(f"{path}: all photos are of one class, {data.classes[0]!r}; training needs two or more")
    if lacking := [name for name, (train, _, _) in data.counts().items() if not train]:
        more = f" ({len(lacking) - 1:,} more classes)" if lacking[1:] else ""
        raise DataError(f"{path}: class {lacking[0]!r} has no photo to train on{more}; add some or remove the class")
    if not len(data.validation):
        raise DataError(f"{path}: {len(data.train)} photos are too few for a validation split")


def _report(data: Dataset, path: Path, reporter: Reporter) -> None:
    if data.ignored:
        counted = ", ".join(f"{count:,} {reason}" for reason, count in data.ignored.items())
        reporter.notice(f"notice: {path}: ignored {sum(data.ignored.values()):,} files: {counted}")
    for line in data.skipped[:_NAMED]:
        reporter.notice(f"skipped: {line}")
    if data.skipped[_NAMED:]:
        reporter.notice(f"skipped: {len(data.skipped) - _NAMED:,} more")


def _digest(classes: tuple[str, ...], splits: Mapping[str, Part], path: Path) -> str:
    digest = hashlib.sha256("\0".join(classes).encode())
    root = path if path.is_dir() else path.parent.resolve()
    for split, (images, labels) in sorted(splits.items()):
        if not len(labels):
            continue
        digest.update(split.encode() + labels.astype("<i4").tobytes())
        if isinstance(images, np.ndarray):
            digest.update(np.ascontiguousarray(images).data)
            continue
        for file in images:
            digest.update(os.fsencode(os.path.relpath(file, root)) + f"\0{_size(file)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from None
