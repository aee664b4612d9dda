"""The data set's files as published, and those of the sample: the same format, its first photos."""

import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import Unavailable, digest_bytes

CATEGORIES = (
    "t-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SIDE = 28
SAMPLE_FOLDER = Path(__file__).parent / "sample"
SAMPLE_PHOTOS = 2_000


class DataSetError(Unavailable):
    """The data set cannot be had from a source, or from any, or is not the one it should be."""


@dataclass(frozen=True, slots=True)
class IdxFile:
    """Size and digest are those of its content: Debian and GitHub compress it differently."""

    name: str
    size_bytes: int
    digest: str

    @property
    def packed_name(self) -> str:
        return f"{self.name}.gz"

    def unpack(self, packed: bytes) -> bytes:
        """The checked content of a gzip file. Raises DataSetError."""
        try:
            with gzip.open(io.BytesIO(packed)) as file:
                content = file.read(self.size_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataSetError(f"{self.packed_name}: not a whole gzip file ({error})") from error
        if digest_bytes(content) != self.digest:
            raise DataSetError(f"{self.packed_name}: not the published Fashion-MNIST (its SHA-256 differs)")
        return content


WHOLE = (
    IdxFile(
        "train-images-idx3-ubyte",
        47_040_016,
        "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        60_008,
        "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        10_008,
        "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
SAMPLE = (
    IdxFile(
        "train-images-idx3-ubyte",
        1_568_016,
        "sha256:71a9f8cec24060d6752b3e4940ce6d6fd729334afa47b735dd553481aa83b53e",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        2_008,
        "sha256:8983259dfbc9f185f92698916f7daf361704b43ba7d19568cc7bcdeefdc1bece",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        800,
        "sha256:ad9f66643427a573dbf0d6b781c08c0eb8d918267783ffc63cae586a23b8ade0",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        9,
        "sha256:14bf130ce3598edfe513dd9382e2dc73eed9e55a80dfd4b04d5f657b25025b35",
    ),
)
