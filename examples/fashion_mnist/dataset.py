"""The photos and labels, from the first source that has them; the sample where none has."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from lykeion.core import write_atomically

from .published import SAMPLE, SAMPLE_FOLDER, SIDE, WHOLE, DataSetError, IdxFile
from .sources import PACKAGE, Source, default_sources, from_folder, kept_copy

Split = tuple[np.ndarray, np.ndarray]
"""Images uint8 (n, 28, 28) and labels uint8 (n,), places in CATEGORIES."""
Say = Callable[[str], None]
SAMPLE_SOURCE = Source("the sample in examples/fashion_mnist/sample", partial(from_folder, SAMPLE_FOLDER))


@dataclass(frozen=True)
class DataSet:
    """Splits by name, a photo to ask with (the first of the test photos), and where all of it comes from."""

    splits: dict[str, Split]
    query: np.ndarray
    origin: str

    @property
    def size(self) -> int:
        return sum(len(labels) for _, labels in self.splits.values())

    def photos(self) -> Iterator[tuple[str, int, np.ndarray, int]]:
        """Split, number in it, image and label."""
        for split, arrays in self.splits.items():
            for number, (image, label) in enumerate(zip(*arrays, strict=True)):
                yield split, number, image, int(label)


def load(split: str) -> Split:
    """All photos and labels of "train" or "test". Raises DataSetError where no source has them."""
    return read_whole().splits[split]


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def read_whole(
    sources: Sequence[Source] | None = None, files: Sequence[IdxFile] = WHOLE, say: Say = say_on_stderr
) -> DataSet:
    """The whole data set; ``say`` is told why a source is passed over. Raises DataSetError where none has it."""
    train, test, origin = _read(files, default_sources() if sources is None else sources, say)
    return DataSet({"train": train, "test": test}, test[0][0], origin)


def read_whole_or_sample(
    sources: Sequence[Source] | None = None, files: Sequence[IdxFile] = WHOLE, say: Say = say_on_stderr
) -> DataSet:
    """The whole data set, or the sample of this folder. Raises DataSetError where that is damaged."""
    try:
        return read_whole(sources, files, say)
    except DataSetError as error:
        say(str(error))
        return read_sample()


def read_sample() -> DataSet:
    """The photos in this folder. Raises DataSetError where they are damaged."""
    train, test, origin = _read(SAMPLE, [SAMPLE_SOURCE], say_on_stderr)
    return DataSet({"train": train}, test[0][0], origin)


def _read(files: Sequence[IdxFile], sources: Sequence[Source], say: Say) -> tuple[Split, Split, str]:
    """Training photos, test photos, origin: each file from the first source that has it whole."""
    contents: dict[IdxFile, bytes] = {}
    origins: list[str] = []
    for source in sources:
        missing = [file for file in files if file not in contents]
        if not missing:
            break
        try:
            for file, packed in source.fetch(missing):
                contents[file] = file.unpack(packed)
                origins.append(source.name)
                if source.far:
                    _keep(file, packed, say)
        except DataSetError as error:
            say(f"{source.name}: {error}")
    if len(contents) < len(files):
        raise DataSetError(
            f"no source has all of Fashion-MNIST; to have it, install Debian's package {PACKAGE}, or try again where "
            "GitHub can be reached (through a proxy: set HTTPS_PROXY)"
        )
    images, labels, test_images, test_labels = (contents[file] for file in files)
    return _split(images, labels), _split(test_images, test_labels), " and ".join(dict.fromkeys(origins))


def _keep(file: IdxFile, packed: bytes, say: Say) -> None:
    try:
        write_atomically(kept_copy() / file.packed_name, packed)
    except OSError as error:
        say(f"{kept_copy()}: no copy can be kept there ({error.strerror})")


def _split(images: bytes, labels: bytes) -> Split:
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, SIDE, SIDE),
        np.frombuffer(labels, np.uint8, offset=8),
    )
