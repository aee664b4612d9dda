"""OCI content: descriptors, manifests, and the image layout directory that holds them.

Shared by the model registry and the image builder. Specification: opencontainers/image-spec 1.1.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .blob import BlobWriter
    from .descriptor import Descriptor, Platform
    from .errors import BlobMissing, ContentDamaged, ContentError, RefMoved
    from .layout import Layout
    from .manifest import EMPTY, EMPTY_BLOB, ImageIndex, ImageManifest, read_manifest
    from .references import ref_of, with_ref

__all__ = [
    "EMPTY", "EMPTY_BLOB", "BlobMissing", "BlobWriter", "ContentDamaged", "ContentError", "Descriptor",
    "ImageIndex", "ImageManifest", "Layout", "Platform", "RefMoved", "read_manifest", "ref_of", "with_ref",
]  # fmt: skip
__getattr__ = lazy(__name__)
