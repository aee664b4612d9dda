"""The write-ahead log: writes acknowledged since the last segment was written.

A log file ``log/<number>.log`` is a header (magic, format, number), then frames, one for each group of writes
committed together: magic, length, CRC-32, payload. A payload is a list of operations, each a length-prefixed
JSON header and its vectors. A frame that ends beyond the file, or is damaged with no whole frame after it, was
cut short by a crash before it was acknowledged and is dropped by the next writer; a damaged frame followed by whole
frames is an error.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lykeion.core import fsync_directory
from lykeion.search.index.errors import CorruptIndex, IndexFormatError
from lykeion.search.index.protocol import Photo, Value
from lykeion.search.index.schema import decode_attributes, encode_attributes

FORMAT = 1
_HEADER = struct.Struct("<4sII")
_FRAME = struct.Struct("<4sQI")
_FILE_MAGIC, _FRAME_MAGIC = b"LYKL", b"LYKF"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Operation:
    """One write. ``photos`` None: an upsert replaces, or a delete removes, whole products."""

    kind: Literal["upsert", "update", "delete"]
    ids: list[str]
    photos: list[Photo] | None = None
    attributes: list[dict[str, Value]] | None = None
    vectors: np.ndarray | None = None
    columns: dict[str, str] | None = None
    """The schema after this write, if it grew."""
    at: float = 0.0
    """The time of the write, seconds since 1970."""

    def encode(self) -> list[bytes]:
        attributes = self.attributes and [encode_attributes(row) for row in self.attributes]
        header = {
            "kind": self.kind,
            "ids": self.ids,
            "photos": None if self.photos is None else [[photo.name, photo.digest] for photo in self.photos],
            "attributes": attributes,
            "columns": self.columns,
            "at": self.at,
        }
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        vectors = b"" if self.vectors is None else self.vectors.tobytes()
        return [_LENGTH.pack(len(text)), text, struct.pack("<Q", len(vectors)), vectors]


class Log:
    """One log file, read from where the last read ended, and appended to by the holder of the writer lock."""

    def __init__(self, directory: Path, number: int, dimension: int, dtype: np.dtype) -> None:
        self.path = directory / f"{number:08d}.log"
        self._dimension, self._dtype = dimension, dtype
        self._file = self.path.open("rb", buffering=0)
        header = self._file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:4] != _FILE_MAGIC:
            raise CorruptIndex(f"{self.path}: not a log")
        _, version, numbered = _HEADER.unpack(header)
        if version > FORMAT:
            raise IndexFormatError(f"{self.path}: log format {version} is newer than this lykeion; update it")
        if version < 1 or numbered != number:
            raise CorruptIndex(f"{self.path}: its header is damaged")
        self.position = _HEADER.size
        self._writer: int | None = None

    @staticmethod
    def create(directory: Path, number: int) -> None:
        """A new, empty log, durable; an abandoned one of the same number is replaced."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{number:08d}.log"
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(_HEADER.pack(_FILE_MAGIC, FORMAT, number))
            file.flush()
            os.fsync(file.fileno())
        fsync_directory(directory)

    @property
    def empty(self) -> bool:
        return self.size() <= _HEADER.size

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def read_new(self) -> Iterator[Operation]:
        """Operations of the whole frames after the last position. Raises CorruptIndex."""
        while (payload := self._read_frame(self.position)) is not None:
            self.position += _FRAME.size + len(payload)
            yield from self._decode(payload)

    def drop_torn_end(self) -> None:
        """Cut off an incomplete write left by a crash. Requires the writer lock, and that everything was read."""
        if self.size() > self.position:
            os.truncate(self.path, self.position)

    def append(self, operations: list[Operation], *, durable: bool) -> None:
        """Write one frame; if ``durable``, it is on disk on return. On failure nothing of it remains."""
        payload = b"".join(part for operation in operations for part in operation.encode())
        frame = _FRAME.pack(_FRAME_MAGIC, len(payload), zlib.crc32(payload)) + payload
        if self._writer is None:
            self._writer = os.open(self.path, os.O_WRONLY)
        try:
            view, at = memoryview(frame), self.position
            while view:
                written = os.pwrite(self._writer, view, at)
                view, at = view[written:], at + written
            if durable:
                getattr(os, "fdatasync", os.fsync)(self._writer)
        except BaseException:
            os.ftruncate(self._writer, self.position)
            raise
        self.position += len(frame)

    def close(self) -> None:
        self._file.close()
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def _read_frame(self, position: int) -> bytes | None:
        """The payload of the frame at ``position``; None at the end, or if the rest was never acknowledged."""
        for _ in range(2):
            head = os.pread(self._file.fileno(), _FRAME.size, position)
            if len(head) < _FRAME.size:
                return None
            magic, length, checksum = _FRAME.unpack(head)
            if magic == _FRAME_MAGIC and position + _FRAME.size + length <= self.size():
                payload = self._pread_all(position + _FRAME.size, length)
                if zlib.crc32(payload) == checksum:
                    return payload
            if not self._whole_frame_after(position + 1):
                return None
            # It may have been written during the read: later frames are written after it, so check once more.
        raise CorruptIndex(f"{self.path}: damaged at byte {position}; `lykeion index restore` returns to a snapshot")

    def _whole_frame_after(self, position: int) -> bool:
        data = self._pread_all(position, self.size() - position)
        at = data.find(_FRAME_MAGIC)
        while at >= 0:
            if at + _FRAME.size <= len(data):
                _, length, checksum = _FRAME.unpack_from(data, at)
                payload = data[at + _FRAME.size : at + _FRAME.size + length]
                if len(payload) == length and zlib.crc32(payload) == checksum:
                    return True
            at = data.find(_FRAME_MAGIC, at + 1)
        return False

    def _pread_all(self, position: int, length: int) -> bytes:
        pieces = []
        while length > 0:
            piece = os.pread(self._file.fileno(), length, position)
            if not piece:
                break
            pieces.append(piece)
            position, length = position + len(piece), length - len(piece)
        return b"".join(pieces)

    def _decode(self, payload: bytes) -> Iterator[Operation]:
        view = memoryview(payload)
        while view:
            (length,) = _LENGTH.unpack_from(view)
            header = json.loads(bytes(view[4 : 4 + length]))
            view = view[4 + length :]
            (size,) = struct.unpack_from("<Q", view)
            vectors = np.frombuffer(view[8 : 8 + size], self._dtype).reshape(-1, self._dimension) if size else None
            view = view[8 + size :]
            yield Operation(
                kind=header["kind"],
                ids=header["ids"],
                photos=header["photos"] and [Photo(*photo) for photo in header["photos"]],
                attributes=header["attributes"] and [decode_attributes(row) for row in header["attributes"]],
                vectors=vectors,
                columns=header["columns"],
                at=header["at"],
            )
