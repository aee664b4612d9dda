"""Adding photos and attributes to an index from folders, manifests and URLs; resumable, sharded, synchronised."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .column_types import parse_declaration
    from .empty_cells import Empty
    from .folder import Folder
    from .listing import Shard
    from .photo_source import Failure, ListedPhoto, PhotoSource, Skipped, SourceError
    from .pipeline import IngestOptions, add
    from .report import IngestReport
    from .sources import open_source

__all__ = [
    "Empty", "Failure", "Folder", "IngestOptions", "IngestReport", "ListedPhoto", "PhotoSource", "Shard", "Skipped",
    "SourceError", "add", "open_source", "parse_declaration",
]  # fmt: skip
__getattr__ = lazy(__name__)
