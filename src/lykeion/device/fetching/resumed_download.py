"""One file downloaded to disk: resumed where it ended, never longer than it may be, and checked by its digest."""

import hashlib
from pathlib import Path

from lykeion.device.durable_files import FileLayer
from lykeion.device.errors import UpdateRefused, UpdateUnavailable

from .download_pace import Pace
from .file_source import FileSource


def download(
    files: FileLayer, part: Path, source: FileSource, path: str, size_bytes: int, digest: str, pace: Pace
) -> bytes:
    """The file at ``path``, through ``part``, where it stays, durable, and where what is there already is used.

    Raises UpdateRefused, after ``part`` is removed, if it is longer or has another digest; UpdateUnavailable if it
    ends too early, and OSError: another call then goes on.
    """
    began = have = max(files.size(part), 0)
    if have < size_bytes:
        have = _fetch(files, part, source, path, have, size_bytes, pace)
        files.sync(part)
    content = files.read(part) if have == size_bytes else b""
    if "sha256:" + hashlib.sha256(content).hexdigest() == digest:
        files.sync(part.parent)
        return content
    files.remove(part)
    if began:  # what was there may be damaged by a loss of power
        return download(files, part, source, path, size_bytes, digest, pace)
    what = f"longer than the {size_bytes:,} bytes" if have > size_bytes else "not the file"
    raise UpdateRefused(f"{path}: {what} that was signed; nothing of it is used")


def _fetch(
    files: FileLayer, part: Path, source: FileSource, path: str, have: int, size_bytes: int, pace: Pace
) -> int:
    """How many bytes there are then: more than ``size_bytes`` if the server does not stop."""
    pace.begin()
    with source.get(path, have) as body:
        have = body.offset
        if not have:
            files.write(part, b"")
        for chunk in body.chunks:
            if have + len(chunk) > size_bytes:
                return have + len(chunk)
            files.append(part, chunk)
            have += len(chunk)
            pace.arrived(len(chunk))
    if have < size_bytes:
        raise UpdateUnavailable(f"{path}: ended after {have:,} of {size_bytes:,} bytes; it is resumed later")
    return have
