"""Photos and attributes into an index: from folders, manifests and URLs; resumable, in shards, kept in step."""

from .listing import Shard
from .pipeline import add
from .report import Report
from .sources import Failure, Folder, Item, Source, SourceError, open_source
from .stopping import Interrupted

__all__ = [
    "Failure",
    "Folder",
    "Interrupted",
    "Item",
    "Report",
    "Shard",
    "Source",
    "SourceError",
    "add",
    "open_source",
]
