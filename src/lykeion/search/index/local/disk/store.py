"""The index directory: its identity, the manifest with its current contents, and removal of unused files.

index.json             dimension, metric, embedder, dtype: written once
CURRENT                the name and digest of the current manifest, replaced atomically
manifests/<generation>.json
segments/<digest>/     lykeion.search.index.segment.segment
overlays/<digest>      a segment's deleted rows (.bits) and changed attributes (.arrow), named by their SHA-256
log/<number>.log       lykeion.search.index.local.disk.log
snapshots/<name>.json  manifests kept under a name
LOCK, COMPACTING       lock files
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lykeion.core import NotFound, digest_bytes, digest_file, fsync_directory, write_atomically
from lykeion.search.index import checked_json
from lykeion.search.index.errors import CorruptIndex, IndexFormatError
from lykeion.search.index.protocol import Metric
from lykeion.search.index.segment.segment import take_segment

from .log import Log

FORMAT = 1
MAX_DIMENSION = 65_536
_CHOICES = {
    "metric": ("cosine", "l2"),
    "dtype": ("float16", "float32"),
    "kernel": ("auto", "exact", "hnsw", "ivf"),
    "compaction": ("size", "time"),
}
_SNAPSHOT_NAME_LENGTH = 128


@dataclass(frozen=True)
class Identity:
    """The permanent properties of an index. ``kernel`` and ``compaction`` are chosen when it is created."""

    dimension: int
    metric: Metric = "cosine"
    embedder: str = ""
    dtype: str = "float16"
    kernel: str = "auto"
    compaction: str = "size"
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise IndexFormatError(f"dimension {self.dimension}: an index has 1 to {MAX_DIMENSION:,}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise IndexFormatError(f"{name} {getattr(self, name)!r}: an index has one of {', '.join(choices)}")


@dataclass(frozen=True)
class SegmentEntry:
    """A segment in a manifest, with the digests of its overlays."""

    digest: str
    rows: int
    deleted: int = 0
    bits: str | None = None
    patches: str | None = None
    patched: int = 0


@dataclass(frozen=True)
class Manifest:
    """The state of an index: its segments, and the log of later writes."""

    generation: int
    log: int
    segments: tuple[SegmentEntry, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    repeats: bool = False
    """Whether any product has had several photos, so that answers must be grouped."""
    created: float = 0.0
    format: int = FORMAT

    def next(self, **changes: Any) -> "Manifest":
        return replace(self, generation=self.generation + 1, created=time.time(), **changes)

    def to_json(self) -> bytes:
        return checked_json.to_json(asdict(self))

    @classmethod
    def from_json(cls, data: bytes, where: Path) -> "Manifest":
        value = checked_json.from_json(data, where, newest=FORMAT)
        segments = tuple(SegmentEntry(**entry) for entry in value.pop("segments"))
        return cls(segments=segments, **value)


class Store:
    """Reads and writes the files of one index directory. Commits require the writer lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments, self.logs = path / "segments", path / "log"

    @classmethod
    def create(cls, path: Path, identity: Identity) -> "Store":
        """A new, empty index. ``CURRENT`` is written last: without it, a directory is not an index yet."""
        store = cls(path)
        for directory in (store.segments, path / "manifests", path / "overlays", path / "snapshots"):
            directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "index.json", checked_json.to_json(asdict(identity)))
        Log.create(store.logs, 1)
        store.commit(Manifest(generation=1, log=1, created=time.time()))
        return store

    def remove(self) -> None:
        """Remove the index's own files, and the directory if it holds no others. Raises OSError."""
        (self.path / "CURRENT").unlink(missing_ok=True)  # without it a directory is not an index
        for name in ("manifests", "segments", "overlays", "log", "snapshots"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("index.json", "COMPACTING", "LOCK"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def exists(self) -> bool:
        return (self.path / "CURRENT").exists()

    def identity(self) -> Identity:
        """Raises IndexFormatError if this is not an index, or has a newer format."""
        if not self.exists():
            raise IndexFormatError(
                f"{self.path} is not an index; `lykeion index add PHOTOS --index {self.path}` makes one"
            )
        path = self.path / "index.json"
        return Identity(**checked_json.from_json(path.read_bytes(), path, newest=FORMAT))

    def current(self) -> Manifest:
        """Raises CorruptIndex; FileNotFoundError if it was replaced and removed in the meantime."""
        name, digest = self._in_force()
        path = self.path / "manifests" / name
        data = path.read_bytes()
        if digest_bytes(data) != digest:
            raise CorruptIndex(f"{path}: not the manifest that {self.path / 'CURRENT'} names")
        return Manifest.from_json(data, path)

    def stamp(self) -> bytes:
        """A value that differs for every manifest that becomes current."""
        return (self.path / "CURRENT").read_bytes()

    def log(self, manifest: Manifest, identity: Identity) -> Log:
        """The manifest's log, open."""
        return Log(self.logs, manifest.log, identity.dimension, np.dtype(identity.dtype))

    def commit(self, manifest: Manifest) -> None:
        name = f"{manifest.generation:012d}.json"
        data = manifest.to_json()
        write_atomically(self.path / "manifests" / name, data)
        write_atomically(self.path / "CURRENT", f"{name} {digest_bytes(data)}\n".encode())

    def size_bytes(self) -> int:
        """Size of all files of the directory."""
        total = 0
        for directory, _, names in os.walk(self.path):  # skips files that compaction removes at the same time
            for name in names:
                with suppress(FileNotFoundError):
                    total += Path(directory, name).stat().st_size
        return total

    def take(self, other: "Store", entries: Iterable[SegmentEntry], copy: Callable[[str, str], object]) -> None:
        """Copy (or link) segments of another index, with their overlays."""
        for entry in entries:
            take_segment(other.segments / entry.digest, self.segments, copy)
            for name in (entry.bits and f"{entry.bits}.bits", entry.patches and f"{entry.patches}.arrow"):
                if name:
                    write_atomically(self.path / "overlays" / name, (other.path / "overlays" / name).read_bytes())

    # --- overlays ---

    def write_bits(self, bits: np.ndarray) -> str:
        return self._write_overlay(bits.astype("<u8").tobytes(), ".bits")

    def read_bits(self, digest: str, rows: int) -> np.ndarray:
        bits = np.frombuffer(self._read_overlay(digest, ".bits"), "<u8").copy()
        if len(bits) != (rows + 63) // 64:
            raise CorruptIndex(f"{self.path / 'overlays' / digest}.bits: not for this segment")
        return bits

    def write_patches(self, table: pa.Table) -> str:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return self._write_overlay(sink.getvalue().to_pybytes(), ".arrow")

    def read_patches(self, digest: str) -> pa.Table:
        return pa.ipc.open_file(pa.py_buffer(self._read_overlay(digest, ".arrow"))).read_all()

    def _write_overlay(self, data: bytes, suffix: str) -> str:
        digest = digest_bytes(data).removeprefix("sha256:")
        write_atomically(self.path / "overlays" / f"{digest}{suffix}", data)
        return digest

    def _read_overlay(self, digest: str, suffix: str) -> bytes:
        path = self.path / "overlays" / f"{digest}{suffix}"
        data = path.read_bytes()
        if digest_bytes(data).removeprefix("sha256:") != digest:
            raise CorruptIndex(f"{path}: bytes differ from what was written")
        return data

    # --- snapshots ---

    def snapshots(self) -> dict[str, Manifest]:
        return {path.stem: manifest for path, manifest in self._readable("snapshots").items()}

    def keep(self, name: str, manifest: Manifest) -> None:
        write_atomically(self._snapshot(name), manifest.to_json())

    def kept(self, name: str) -> Manifest:
        """A snapshot by name, or a past manifest that still exists by its generation. Raises NotFound."""
        paths = [self._snapshot(name)]
        if name.isdecimal():
            paths.append(self.path / "manifests" / f"{int(name):012d}.json")
        for path in paths:
            if path.exists():
                return Manifest.from_json(path.read_bytes(), path)
        known = ", ".join([*self.snapshots(), *(str(m.generation) for m in self.manifests().values())])
        raise NotFound(f"{self.path} has no snapshot {name!r}; it has {known}")

    def drop(self, name: str) -> None:
        """Delete a snapshot. Raises NotFound."""
        if not self._snapshot(name).exists():
            raise NotFound(f"{self.path} has no snapshot {name!r}")
        self._snapshot(name).unlink()

    def _snapshot(self, name: str) -> Path:
        if (
            not 0 < len(name) <= _SNAPSHOT_NAME_LENGTH
            or name.startswith(".")
            or not set(name) & set("/\\\0") == set()
        ):
            raise NotFound(f"{name!r} cannot name a snapshot: 1 to 128 characters, no slash, no leading dot")
        return self.path / "snapshots" / f"{name}.json"

    # --- garbage collection ---

    def collect(self, *, keep_manifests: int, segments: bool) -> None:
        """Remove files that neither the last ``keep_manifests`` manifests nor a snapshot needs.

        Requires the writer lock; with ``segments``, also that no compaction is writing one that no manifest names
        yet. Readers that have mapped a removed file keep it; a reader that is too late to open it finds a newer
        manifest. A manifest newer than the current one was left by a crash.
        """
        in_force = self._in_force()[0]
        past = [(path, manifest) for path, manifest in self.manifests().items() if path.name <= in_force]
        manifests = dict(past[-max(keep_manifests, 1) :])
        for path in self._listed("manifests"):
            if path not in manifests:
                path.unlink()
        kept = [*manifests.values(), *self.snapshots().values()]
        entries = [entry for manifest in kept for entry in manifest.segments]
        if segments:
            _remove_others(self.segments, {entry.digest for entry in entries})
        overlays = {f"{entry.bits}.bits" for entry in entries} | {f"{entry.patches}.arrow" for entry in entries}
        _remove_others(self.path / "overlays", overlays)
        _remove_others(self.logs, {f"{manifest.log:08d}.log" for manifest in manifests.values()})

    def _in_force(self) -> tuple[str, str]:
        path = self.path / "CURRENT"
        match path.read_bytes().decode(errors="replace").split():
            case [name, digest] if Path(name).name == name:
                return name, digest
        raise CorruptIndex(f"{path}: differs from what was written")

    def manifests(self) -> dict[Path, Manifest]:
        """The current manifest, past ones that still exist, and those that a crash left, by generation."""
        return self._readable("manifests")

    def damaged(self) -> list[str]:
        """Differences from what was written in manifests, snapshots and overlays, one line each."""
        found: list[str] = []
        for path in (*self._listed("manifests"), *self._listed("snapshots")):
            try:
                Manifest.from_json(path.read_bytes(), path)
            except (CorruptIndex, IndexFormatError) as error:
                found.append(str(error))
            except FileNotFoundError:
                pass  # replaced or dropped in the meantime
        for path in sorted((self.path / "overlays").glob("[0-9a-f]*.*")):
            with suppress(FileNotFoundError):
                if digest_file(path).removeprefix("sha256:") != path.stem:
                    found.append(f"{path}: bytes differ from what was written")
        return found

    def named(self) -> set[str]:
        """The digests of all segments that the current manifest, a past one or a snapshot needs."""
        kept = (self.current(), *self.manifests().values(), *self.snapshots().values())
        return {entry.digest for manifest in kept for entry in manifest.segments}

    def _listed(self, directory: str) -> list[Path]:
        return sorted(path for path in (self.path / directory).glob("*.json") if not path.name.startswith("."))

    def _readable(self, directory: str) -> dict[Path, Manifest]:
        """The manifests that can be read; ``damaged`` reports the others."""
        manifests: dict[Path, Manifest] = {}
        for path in self._listed(directory):
            with suppress(CorruptIndex, FileNotFoundError):
                manifests[path] = Manifest.from_json(path.read_bytes(), path)
        return manifests


def _remove_others(directory: Path, keep: Iterable[str]) -> None:
    """A directory that was empty may be missing, since archives and registries keep files alone.

    A segment first loses its name, durably: whatever ends the removal leaves no part of a segment under a digest,
    which a later segment with the same contents would be taken to be.
    """
    keep = set(keep)
    others = [path for path in directory.iterdir() if path.name not in keep] if directory.is_dir() else []
    directories = [path for path in others if path.is_dir()]
    for path in others:
        if path not in directories:
            path.unlink(missing_ok=True)
    unnamed = [path if path.name.startswith(".") else _without_its_name(path) for path in directories]
    if unnamed:
        fsync_directory(directory)
    for path in unnamed:
        shutil.rmtree(path, ignore_errors=True)


def _without_its_name(path: Path) -> Path:
    return path.rename(tempfile.mkdtemp(dir=path.parent, prefix=".removing-"))
