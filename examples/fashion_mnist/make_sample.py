"""Write the sample again from the whole data set: ``python -m examples.fashion_mnist.make_sample``.

Prints the sizes and digests that published.py has.
"""

import gzip
import struct

import numpy as np

from lykeion.core import digest_bytes

from .dataset import Split, load
from .published import SAMPLE, SAMPLE_FOLDER, SAMPLE_PHOTOS


def sample_contents() -> list[bytes]:
    """The idx files of the first training photos, about 200 of a category, and of one test photo to ask with."""
    (images, labels), (test_images, test_labels) = load("train"), load("test")
    return [*_idx((images[:SAMPLE_PHOTOS], labels[:SAMPLE_PHOTOS])), *_idx((test_images[:1], test_labels[:1]))]


def _idx(split: Split) -> list[bytes]:
    return [_header(array) + array.tobytes() for array in split]


def _header(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)


if __name__ == "__main__":
    for file, content in zip(SAMPLE, sample_contents(), strict=True):
        (SAMPLE_FOLDER / file.packed_name).write_bytes(gzip.compress(content, mtime=0))
        print(file.name, len(content), digest_bytes(content))
