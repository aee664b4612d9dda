"""SHA-256 digests in the form ``sha256:<hex>``, as OCI writes them."""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_bytes(data: bytes | memoryview) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Digest of a file's content, read in chunks. Raises OSError."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """Digest of a JSON value in canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_bytes(text.encode())
