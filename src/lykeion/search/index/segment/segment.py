"""A segment: an immutable set of photos on disk, named by the digest of its description.

A directory ``segments/<digest>`` holds ``segment.json`` (format, counts, and size and SHA-256 of each file) and

    vectors.bin    float16 or float32 (rows, dimension)
    rows.arrow     Arrow IPC: _id, _photo, _digest, and the attribute columns
    hashes.bin     uint64 (rows), 64-bit hashes of the ids, ascending; hash_rows.bin: uint32 (rows), their rows
    kernel/        codes for fast search (kernel.json and arrays). A cache: without it, every vector is compared.

Numbers are little-endian. All files are memory-mapped.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lykeion.core import copy_tree, digest_file, digest_json, fsync_directory
from lykeion.search.index.errors import CorruptIndex, IndexFormatError
from lykeion.search.index.protocol import Photo

from .calibration import DEFAULT, calibrate
from .kernel import Effort, Searchable
from .kernel_file import describe_files, is_outdated, map_file, read_kernel, write_kernel
from .table_rows import TableRows, column_reader, ids_of
from .vector_file import write_vectors

if TYPE_CHECKING:
    from .codes import Kind, Vectors

FORMAT = 1
_CHUNK = 16_384
_REBUILD = "`lykeion index rebuild` recreates it"


def hash_ids(ids: Iterable[str]) -> np.ndarray:
    """64-bit hashes of ids, uint64: the first 8 bytes of BLAKE2b, little-endian."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little") for id in ids], np.uint64
    )


def to_columns(ids: Sequence[str], photos: Sequence[Photo], attributes: pa.Table) -> pa.Table:
    """A table of rows: _id, _photo and _digest, and the attribute columns."""
    own = {
        "_id": pa.array(ids, pa.large_string()),
        "_photo": pa.array([photo.name for photo in photos], pa.large_string()),
        "_digest": pa.array([photo.digest for photo in photos], pa.large_string()),
    }
    return pa.table({**own, **{name: attributes.column(name) for name in attributes.column_names}})


def write_segment(
    directory: Path, rows: pa.Table, vectors: "Vectors", kind: "Kind", *, written: tuple[float, float]
) -> tuple[str, np.ndarray]:
    """Write a segment durably. Returns its digest, and the order: for each stored row, its number among those given.

    ``rows`` is a table as from ``to_columns``; ``vectors`` are float16 or float32.
    ``written``: when the oldest and the newest of its rows were written, seconds since 1970, for time tiers.
    """
    started = time.perf_counter()
    from .codes import learn  # who only searches does not need it

    order, codes = (np.arange(len(rows)), None) if kind == "exact" else learn(vectors, kind)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory, prefix=".writing-"))
    try:
        write_vectors(temporary / "vectors.bin", vectors, order)
        rows = rows.combine_chunks()  # first, since taking rows from many chunks is slow
        rows = rows if kind == "exact" else rows.take(order)
        with pa.OSFile(str(temporary / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
        repeats = _write_hashes(temporary, rows.column("_id"))
        description = {
            "format": FORMAT,
            "rows": len(order),
            "dimension": int(vectors.shape[1]),
            "dtype": np.dtype(vectors.dtype).name,
            "repeats": repeats,
            "written": list(written),
            "files": describe_files(temporary),
        }
        (temporary / "segment.json").write_text(json.dumps(description, indent=1))
        if codes is not None:
            effort = calibrate(map_file(temporary / "vectors.bin", vectors.dtype.str, vectors.shape), codes)
            write_kernel(temporary / "kernel", codes, kind, effort, seconds=time.perf_counter() - started)
        sync_tree(temporary)
        digest = digest_json(description).removeprefix("sha256:")
        target = directory / digest
        if not appears(temporary, target):
            if codes is not None:  # the existing segment's kernel may be missing or damaged
                shutil.rmtree(target / "kernel", ignore_errors=True)
                (temporary / "kernel").rename(target / "kernel")
                fsync_directory(target)
            shutil.rmtree(temporary)
        fsync_directory(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return digest, order


def take_segment(source: Path, directory: Path, copy: Callable[[str, str], object]) -> None:
    """Copy (or link) a segment to another directory, durably, completely or not at all, unless it exists there."""
    target = directory / source.name
    if target.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory, prefix=".writing-"))
    try:
        copy_tree(source, temporary, copy)
        sync_tree(temporary)
        if not appears(temporary, target):
            shutil.rmtree(temporary)
        fsync_directory(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def appears(temporary: Path, target: Path) -> bool:
    """Give a segment its name; False if it exists already, complete, with the same rows. Raises OSError."""
    try:
        temporary.rename(target)
    except OSError:
        if not target.exists():
            raise
        return False
    return True


class Segment:
    """An open segment. Raises IndexFormatError, CorruptIndex or FileNotFoundError (compacted away) on opening."""

    def __init__(self, path: Path) -> None:
        self.path, self.digest = path, path.name
        description = _read_description(path)
        self.rows: int = description["rows"]
        self.dimension: int = description["dimension"]
        self.repeats: bool = description["repeats"]
        self.written: tuple[float, float] = tuple(description["written"])
        self._files: dict[str, dict[str, Any]] = description["files"]
        for name, file in self._files.items():
            if (path / name).stat().st_size != file["size"]:
                raise CorruptIndex(f"{path / name}: {file['size']} bytes were written; the file has another size")
        self.vectors = self._map("vectors.bin", description["dtype"], (self.rows, self.dimension))
        self.hashes = self._map("hashes.bin", "<u8", (self.rows,))
        self.hash_rows = self._map("hash_rows.bin", "<u4", (self.rows,))
        try:
            with pa.memory_map(str(path / "rows.arrow")) as source:
                self.table = pa.ipc.open_file(source).read_all()
            self.table.validate()
            self.attributes = self.table.drop_columns(["_id", "_photo", "_digest"])
            self.id: Callable[[int], str] = column_reader(self.table.column("_id"))  # pyright: ignore
            self._photo, self._digest = (column_reader(self.table.column(name)) for name in ("_photo", "_digest"))
            self.attributes_of = TableRows(self.attributes).__getitem__
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise CorruptIndex(f"{path / 'rows.arrow'}: differs from what was written: {_one_line(error)}") from None
        self.kernel, codes = read_kernel(path / "kernel", self.rows, self.dimension)
        self.searchable = Searchable(self.vectors, self.rows, codes, ids_of(self.table.column("_id")))

    def photo(self, row: int) -> Photo:
        return Photo(str(self._photo(row)), str(self._digest(row)))

    def find(self, hashes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(position, rows) for each hash that rows have; compare the ids, since different ids can have one hash."""
        ascending = np.argsort(hashes)  # in this order, looking up many hashes reads the file sequentially
        wanted = hashes[ascending]
        first = np.searchsorted(self.hashes, wanted, side="left")
        known = first < self.rows
        known[known] = self.hashes[first[known]] == wanted[known]
        found = np.flatnonzero(known)
        last = np.searchsorted(self.hashes, wanted[found], side="right")
        for position, start, end in zip(ascending[found].tolist(), first[found].tolist(), last.tolist(), strict=True):
            yield position, self.hash_rows[start:end]

    def problems(self) -> list[str]:
        """Differences from what was written, one line per file; all bytes are read."""
        return _differences(self.path, self._files) + self.kernel_problems()

    def kernel_problems(self) -> list[str]:
        """``problems`` of the kernel, which is optional."""
        kernel = self.path / "kernel"
        if not kernel.exists():
            return []
        if self.kernel is None:
            return [f"{kernel}: of another format or damaged; {_REBUILD}"]
        return [f"{problem}; {_REBUILD}" for problem in _differences(kernel, self.kernel["files"])]

    @property
    def bytes(self) -> int:
        kernel = self.kernel["files"].values() if self.kernel else ()
        return sum(file["size"] for file in (*self._files.values(), *kernel))

    @property
    def effort(self) -> Effort:
        """The effort to find ten answers; minimal if all rows are compared."""
        if self.kernel is None:
            return Effort(1, 1, 1)
        return Effort(**self.kernel["effort"]) if "effort" in self.kernel else DEFAULT

    @property
    def outdated(self) -> bool:
        """Whether its kernel is of an older format that finds less."""
        return self.kernel is not None and is_outdated(self.kernel, self.rows)

    @property
    def kind(self) -> "Kind":
        return self.kernel["kind"] if self.kernel else "exact"

    def _map(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        return map_file(self.path / name, dtype, shape)


def _write_hashes(directory: Path, ids: pa.ChunkedArray) -> bool:
    """Write the look-up by id; returns whether an id has several rows."""
    hashes = np.concatenate([hash_ids(batch.to_pylist()) for batch in _batches(ids)] or [np.empty(0, np.uint64)])
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    (directory / "hashes.bin").write_bytes(hashes.astype("<u8").data)
    (directory / "hash_rows.bin").write_bytes(order.astype("<u4").data)
    return bool((hashes[1:] == hashes[:-1]).any())


def _batches(column: pa.ChunkedArray) -> Iterator[pa.ChunkedArray]:
    for start in range(0, len(column), _CHUNK):
        yield column.slice(start, _CHUNK)


def _differences(directory: Path, files: dict[str, dict[str, Any]]) -> list[str]:
    found = []
    for name, file in files.items():
        try:
            if digest_file(directory / name) != file["sha256"]:
                found.append(f"{directory / name}: bytes differ from what was written")
        except OSError as error:
            found.append(f"{directory / name}: {error.strerror}")
    return found


def _read_description(segment: Path) -> dict[str, Any]:
    """The contents of segment.json, whose digest is the segment's name."""
    path = segment / "segment.json"
    try:
        value = json.loads(path.read_bytes())
        newer = value["format"] > FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CorruptIndex(f"{path}: differs from what was written") from None
    if newer:
        raise IndexFormatError(f"{path}: segment format {value['format']} is newer than this lykeion; update it")
    if digest_json(value).removeprefix("sha256:") != segment.name:
        raise CorruptIndex(f"{path}: differs from what was written")
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def sync_tree(directory: Path) -> None:
    for path in directory.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    fsync_directory(directory)
