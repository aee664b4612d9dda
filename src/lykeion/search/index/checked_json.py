"""JSON files with their own digest, so that a changed byte is detected on reading."""

import json
from pathlib import Path
from typing import Any

from lykeion.core import digest_json

from .errors import CorruptIndex, IndexFormatError

_DIGEST = "sha256"


def to_json(value: dict[str, Any]) -> bytes:
    """``value``, which has a "format", with the digest of everything else in it."""
    return json.dumps({**value, _DIGEST: digest_json(value)}, indent=1).encode()


def from_json(data: bytes, where: Path, *, newest: int) -> dict[str, Any]:
    """The value that ``to_json`` encoded. Raises CorruptIndex, and IndexFormatError for a format beyond
    ``newest``."""
    try:
        value = json.loads(data)
        version, digest = value["format"], value.pop(_DIGEST)
        newer = version > newest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CorruptIndex(f"{where}: differs from what was written") from None
    if newer:
        raise IndexFormatError(f"{where}: format {version} is newer than this lykeion; update it")
    if digest_json(value) != digest:
        raise CorruptIndex(f"{where}: differs from what was written")
    return value
