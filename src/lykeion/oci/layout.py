"""The OCI image layout directory: blobs by digest, and an index of named and unnamed manifests.

Several processes may use one layout. A blob is stored completely or not at all; ``index.json`` changes under a lock,
so that a reference can be compared and swapped; kill -9 leaves at most files in ``ingest/``, which ``sweep`` removes.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from lykeion.core import (
    LockError,
    Unavailable,
    digest_bytes,
    digest_file,
    fsync_directory,
    locked,
    read_json,
    write_atomically,
    writing,
)

from .blob import ADVICE, BlobWriter
from .descriptor import Descriptor, check_digest
from .errors import BlobMissing, ContentDamaged, ContentError
from .manifest import ImageIndex, ImageManifest, read_index, read_manifest
from .references import ANY, Entries, ref_of, standing, with_ref, without_ref

VERSION = "1.0.0"
LIMIT_INDEX_BYTES = 64 << 20
PIECE_BYTES = 1 << 20


class Layout:
    """A layout at ``root``. Nothing is read until needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> "Layout":
        """Raises ContentError if ``root`` is not a layout, or (with ``create``) holds other things; Unavailable."""
        layout, marker = cls(root), root / "oci-layout"
        if create and not marker.exists():
            with writing(root, Unavailable, "name another place"):
                layout._create()
        if not marker.exists():
            raise ContentError(f"{root} is not an OCI layout: it has no file oci-layout")
        if read_json(marker, ContentError, "layout").get("imageLayoutVersion") != VERSION:
            raise ContentError(f"{root} is an OCI layout of a version other than {VERSION}")
        return layout

    # Blobs

    def path_of(self, digest: str) -> Path:
        """Where the blob is, or would be. Raises ContentError for an invalid digest."""
        algorithm, _, encoded = check_digest(digest).partition(":")
        return self.root / "blobs" / algorithm / encoded

    def has(self, digest: str) -> bool:
        return self.path_of(digest).is_file()

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether the blob exists. Raises ContentDamaged if its size differs from the descriptor's."""
        try:
            size = self.path_of(descriptor.digest).stat().st_size
        except FileNotFoundError:
            return False
        if size != descriptor.size:
            raise ContentDamaged(
                f"{descriptor.digest} has {size:,} bytes in {self.root}, not {descriptor.size:,} as a manifest says"
            )
        return True

    def digests(self) -> Iterator[str]:
        """Digests of all blobs, in no particular order."""
        for path in (self.root / "blobs" / "sha256").iterdir():
            yield f"sha256:{path.name}"

    def open_blob(self, digest: str) -> BinaryIO:
        """The content, not verified. Raises BlobMissing."""
        try:
            return self.path_of(digest).open("rb")
        except FileNotFoundError:
            raise BlobMissing(f"{self.root} does not have {digest}") from None

    def read(self, descriptor: Descriptor, *, limit: int = LIMIT_INDEX_BYTES) -> bytes:
        """The content, verified. Raises BlobMissing, ContentDamaged, ContentError over ``limit`` bytes."""
        if descriptor.size > limit:
            raise ContentError(f"{descriptor.digest} has {descriptor.size:,} bytes; at most {limit:,} are read")
        with self.open_blob(descriptor.digest) as file:
            data = file.read(descriptor.size + 1)
        if len(data) != descriptor.size or digest_bytes(data) != descriptor.digest:
            raise ContentDamaged(
                f"{self.path_of(descriptor.digest)} does not hold what its name says; fetch it again"
            )
        return data

    def verify(self, descriptor: Descriptor) -> None:
        """Read the blob in chunks. Raises BlobMissing, ContentDamaged."""
        digest, size = hashlib.sha256(), 0
        with self.open_blob(descriptor.digest) as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
        if size != descriptor.size or f"sha256:{digest.hexdigest()}" != descriptor.digest:
            raise ContentDamaged(
                f"{self.path_of(descriptor.digest)} does not hold what its name says; fetch it again"
            )

    def writer(self) -> "BlobWriter":
        """A new blob, written in chunks: ``with layout.writer() as blob: blob.write(…)``."""
        return BlobWriter(self.root / "ingest", self.path_of)

    def put(self, data: bytes, media_type: str) -> Descriptor:
        with self.writer() as blob:
            blob.write(data)
        return blob.descriptor(media_type)

    def adopt(self, path: Path, descriptor: Descriptor) -> None:
        """Move a file on the layout's file system into the layout as a blob. Raises ContentDamaged."""
        if path.stat().st_size != descriptor.size or digest_file(path) != descriptor.digest:
            raise ContentDamaged(f"{path} is not {descriptor.digest}; fetch it again")
        target = self.path_of(descriptor.digest)
        path.chmod(0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(target)
        fsync_directory(target.parent)

    def take(self, other: "Layout", descriptor: Descriptor) -> None:
        """Add a blob of another layout: hard-linked on the same file system, else copied and verified."""
        target = self.path_of(descriptor.digest)
        if target.exists():
            return
        try:
            target.hardlink_to(other.path_of(descriptor.digest))
        except FileNotFoundError:
            raise BlobMissing(f"{other.root} does not have {descriptor.digest}") from None
        except FileExistsError:
            return
        except OSError:  # another file system, or one without links
            with other.open_blob(descriptor.digest) as file, self.writer() as blob:
                blob.expect(descriptor)
                shutil.copyfileobj(file, blob, PIECE_BYTES)

    def remove_blob(self, digest: str) -> bool:
        """Returns whether it existed. Call it while holding ``lock_content(exclusive=True)``."""
        try:
            self.path_of(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    # Manifests and references

    def put_manifest(self, manifest: ImageManifest | ImageIndex, ref: str | None = None) -> Descriptor:
        """Store it and add it to the index, under ``ref`` if given, which is moved unconditionally."""
        descriptor = replace(self.put(manifest.to_bytes(), manifest.media_type), artifact_type=manifest.artifact_type)
        self.update(lambda entries: with_ref(entries, descriptor, ref))
        return descriptor

    def manifest(self, descriptor: Descriptor) -> ImageManifest | ImageIndex:
        """Raises BlobMissing, ContentDamaged, ContentError."""
        return read_manifest(self.read(descriptor))

    def entries(self) -> Entries:
        """The entries of ``index.json``: manifests with a reference (``ref_of``) and without."""
        path = self.root / "index.json"
        if path.stat().st_size > LIMIT_INDEX_BYTES:
            raise ContentError(f"{path} has over {LIMIT_INDEX_BYTES:,} bytes; is it an OCI layout's index?")
        return read_index(path.read_bytes(), limit=LIMIT_INDEX_BYTES).manifests

    def resolve(self, ref: str) -> Descriptor | None:
        """The entry of a reference, or of a digest given as ``ref``."""
        for entry in self.entries():
            if ref in (ref_of(entry), entry.digest):
                return entry
        return None

    def update(self, change: Callable[[Entries], Entries]) -> Entries:
        """Replace the index's entries under its lock, and return them; unchanged if ``change`` raises."""
        with self._locked("index.lock", exclusive=True):
            before = self.entries()
            after = change(before)
            if after != before:
                with writing(self.root, Unavailable, ADVICE):
                    write_atomically(self.root / "index.json", ImageIndex(after).to_bytes())
        return after

    def set_ref(self, ref: str, descriptor: Descriptor, *, expect: str | None = ANY) -> str | None:
        """Move a reference, and return the digest that it pointed to before, or None.

        ``expect`` is the digest that it must point to now, None if it must not exist. Raises RefMoved.
        """
        moved_from: list[str | None] = []

        def change(entries: Entries) -> Entries:
            moved_from.append(standing(entries, ref, expect))
            return with_ref(entries, descriptor, ref)

        self.update(change)
        return moved_from[0]

    def remove_ref(self, ref: str, *, expect: str | None = ANY) -> str | None:
        """Remove a reference, and return its digest; the manifest stays as an unnamed entry."""
        moved_from: list[str | None] = []

        def change(entries: Entries) -> Entries:
            moved_from.append(standing(entries, ref, expect))
            return without_ref(entries, ref)

        self.update(change)
        return moved_from[0]

    def referrers(self, digest: str, artifact_type: str = "") -> Entries:
        """Entries whose manifest has ``digest`` as its subject, such as signatures and bills of materials."""
        found: dict[str, Descriptor] = {}
        for entry in self.entries():
            if artifact_type in ("", entry.artifact_type) and entry.digest not in found and self.has(entry.digest):
                subject = self.manifest(entry).subject
                if subject and subject.digest == digest:
                    found[entry.digest] = entry
        return tuple(found.values())

    # Locks

    @contextmanager
    def lock_content(self, *, exclusive: bool = False) -> Generator[None]:
        """Shared while writing blobs, until a manifest that refers to them is in the index; exclusive to remove
        any."""
        with self._locked("content.lock", exclusive=exclusive):
            yield

    def sweep(self) -> int:
        """Remove files of interrupted writers, and return their number. Files of active writers stay."""
        removed = 0
        for path in (self.root / "ingest").glob("*.part"):
            with suppress(LockError, FileNotFoundError), locked(path, create=False, wait=False):
                path.unlink()
                removed += 1
        with self._locked("index.lock", exclusive=True):
            for path in self.root.glob(".index.json.*"):
                path.unlink()
                removed += 1
        return removed

    def _create(self) -> None:
        ingest = self.root / "ingest"
        names: list[str] = []
        with suppress(FileNotFoundError):  # listed once, since another process may be making the layout
            names = [path.name for path in self.root.iterdir()] if not self.root.is_file() else [self.root.name]
        if names and ingest.name not in names:
            raise ContentError(f"{self.root} exists and is not an OCI layout; name another directory")
        ingest.mkdir(parents=True, exist_ok=True)
        (self.root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        with self._locked("index.lock", exclusive=True):
            if not (self.root / "index.json").exists():
                write_atomically(self.root / "index.json", ImageIndex(()).to_bytes())
            write_atomically(self.root / "oci-layout", json.dumps({"imageLayoutVersion": VERSION}).encode())

    @contextmanager
    def _locked(self, name: str, *, exclusive: bool) -> Generator[None]:
        """Whoever only reads needs no lock where there is none and none can be made, as on a read-only mount."""
        ingest = self.root / "ingest"
        create = exclusive or os.access(ingest if ingest.exists() else self.root, os.W_OK)
        if create:
            with writing(self.root, Unavailable, ADVICE):
                ingest.mkdir(exist_ok=True)
        file = ingest / name
        with locked(file, shared=not exclusive, create=create) if create or file.exists() else nullcontext():
            yield
