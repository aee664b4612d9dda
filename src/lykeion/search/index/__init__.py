"""The vector index: one protocol, implemented in a directory and on Milvus; see docs/index-internals.md."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .address import open_index
    from .batch import MAX_PHOTO_NAME_BYTES, BatchError
    from .errors import (
        CorruptIndex,
        EmbedderMismatch,
        IndexFormatError,
        IndexLocked,
        IndexReadOnly,
        IndexReplaced,
        SchemaError,
        StorageError,
    )
    from .local.compaction import lower_priority
    from .local.disk.store import Identity
    from .local.local_index import LocalIndex
    from .local.snapshots import restore_damaged
    from .milvus.client import MilvusError
    from .protocol import (
        MAX_ID_BYTES,
        Attributes,
        ColumnType,
        Hit,
        Index,
        Metric,
        Mode,
        Photo,
        Product,
        Rows,
        Stats,
        Value,
    )
    from .schema import MAX_NAME_BYTES, Schema
    from .segment.kernel import Effort
    from .value_text import parse_value

__all__ = [
    "MAX_ID_BYTES", "MAX_NAME_BYTES", "MAX_PHOTO_NAME_BYTES", "Attributes", "BatchError", "ColumnType",
    "CorruptIndex", "Effort", "EmbedderMismatch", "Hit", "Identity", "Index", "IndexFormatError", "IndexLocked",
    "IndexReadOnly", "IndexReplaced", "LocalIndex", "Metric", "MilvusError", "Mode", "Photo", "Product", "Rows",
    "Schema", "SchemaError", "Stats", "StorageError", "Value", "lower_priority", "open_index", "parse_value",
    "restore_damaged",
]  # fmt: skip
__getattr__ = lazy(__name__)
