"""Any directory as an OCI artifact, such as an index or the output of a step. Each file is a layer, as in a model."""

from pathlib import Path

from lykeion.core import digest_file
from lykeion.oci import EMPTY, EMPTY_BLOB, Descriptor, ImageManifest

from .model_artifact import TITLE, Packed, files_below, read_model

DIRECTORY = "application/vnd.lykeion.directory.v1"
"""The artifact type."""
_FILE = "application/octet-stream"


def pack_directory(directory: Path, name: str) -> Packed:
    """All regular files below ``directory``, hidden ones too; empty directories are dropped.

    Raises InvalidModel for a symbolic link, a path that is not portable, and too many files or none; OSError.
    """
    sources: dict[str, bytes | Path] = {EMPTY.digest: EMPTY_BLOB}
    layers: list[Descriptor] = []
    for relative, path in files_below(directory).items():
        blob = Descriptor(_FILE, digest_file(path), path.stat().st_size, annotations={TITLE: relative})
        layers.append(blob)
        sources[blob.digest] = path
    manifest = ImageManifest(EMPTY, tuple(layers), artifact_type=DIRECTORY, annotations={TITLE: name})
    return Packed(read_model(manifest.to_bytes()), sources)
