"""A store on this machine: one OCI image layout for all repositories, with a true compare-and-swap.

A tag is the layout's reference ``shoes:v1``; an untagged manifest has its repository in an annotation.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lykeion.core import Conflict, NotFound, digest_bytes, writing
from lykeion.oci import BlobMissing, ContentDamaged, ContentError, Descriptor, Layout, read_manifest
from lykeion.oci.descriptor import REF_NAME
from lykeion.oci.references import Entries, ref_of

from .artifact_store import MAX_READ, Advance
from .errors import StoreError
from .reference import is_repository, is_tag

REPOSITORY = "io.github.lykeion.repository"
_PIECE = 2**20


class DiskStore:
    """Artifacts in a directory, created on the first write. Several processes may use it concurrently."""

    host: str | None = None
    compares = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._layout = Layout(root)

    def repositories(self) -> list[str]:
        return sorted({_home(entry) for entry in self._named()} - {""})

    def tags(self, repository: str) -> list[str]:
        return sorted(tag for entry in self._named() if (tag := _tag(entry, repository)))

    def resolve(self, repository: str, tag: str) -> str | None:
        return next((entry.digest for entry in self._named() if _tag(entry, repository) == tag), None)

    def holds(self, repository: str, digest: str) -> bool:
        return any(entry.digest == digest and _home(entry) == repository for entry in self._named())

    def manifest(self, repository: str, digest: str) -> bytes:
        for entry in self._named():
            if entry.digest == digest and _home(entry) == repository:
                return self._layout.read(entry)
        raise NotFound(f"{repository}@{digest}: not in {self.root}")

    def write(
        self,
        repository: str,
        manifests: Sequence[bytes],
        tags: Mapping[str, str],
        expect: Mapping[str, str | None] | None = None,
    ) -> None:
        written = {digest_bytes(data): self._put_manifest(data) for data in manifests}

        def change(entries: Entries) -> Entries:
            now = {tag: entry.digest for entry in entries if (tag := _tag(entry, repository))}
            for tag, digest in (expect or {}).items():
                if now.get(tag) != digest:
                    raise Conflict(
                        f"{repository}:{tag} is at {now.get(tag) or 'nothing'}, not at {digest or 'nothing'} as "
                        "expected; check it and try again"
                    )
            own = {entry.digest: entry for entry in entries if _home(entry) == repository} | written
            for descriptor in written.values():
                entries = _listed(entries, repository, descriptor)
            for tag, digest in tags.items():
                if digest not in own:
                    raise NotFound(f"{repository}@{digest}: not in {self.root}")
                entries = _tagged(entries, repository, tag, own[digest])
            return entries

        self._update(change)

    def untag(self, repository: str, tag: str) -> None:
        def change(entries: Entries) -> Entries:
            if all(_tag(entry, repository) != tag for entry in entries):
                raise NotFound(f"{repository}:{tag}: not in {self.root}")
            return _untagged(entries, repository, tag)

        self._update(change)

    def delete(self, repository: str, digest: str) -> None:
        def change(entries: Entries) -> Entries:
            kept = tuple(entry for entry in entries if (_home(entry), entry.digest) != (repository, digest))
            if len(kept) == len(entries):
                raise NotFound(f"{repository}@{digest}: not in {self.root}")
            return kept

        self._update(change)

    def referrers(self, repository: str, digest: str, artifact_type: str) -> list[Descriptor]:
        own = {entry.digest: entry for entry in self._named() if _home(entry) == repository}
        fitting = [entry for entry in own.values() if artifact_type in ("", entry.artifact_type)]
        return [_plain(entry) for entry in fitting if self._subject(entry) == digest]

    def attach(self, repository: str, manifest: bytes) -> None:
        self.write(repository, [manifest], {})

    def has(self, repository: str, digest: str) -> bool:
        return self._layout.has(digest)

    def put(self, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance) -> None:
        self._open(create=True)
        if self._layout.holds(descriptor):
            advance(descriptor.size)
            return
        with self._layout.writer() as blob:
            blob.expect(descriptor)
            for piece in _pieces(source):
                blob.write(piece)
                advance(len(piece))

    def mount(self, repository: str, descriptor: Descriptor, source: str) -> bool:
        return self._layout.holds(descriptor)

    def read(self, repository: str, descriptor: Descriptor) -> bytes:
        try:
            return self._layout.read(descriptor, limit=MAX_READ)
        except BlobMissing as error:
            raise NotFound(str(error)) from None

    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
        digest = hashlib.sha256()
        try:
            with (
                self._layout.open_blob(descriptor.digest) as source,
                writing(path, StoreError),
                path.open("wb") as file,
            ):
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
                    advance(len(piece))
                size = file.tell()
        except BlobMissing as error:
            raise NotFound(str(error)) from None
        if (f"sha256:{digest.hexdigest()}", size) != (descriptor.digest, descriptor.size):
            path.unlink()
            raise ContentDamaged(f"{self._layout.path_of(descriptor.digest)} does not hold what its name says")

    @contextmanager
    def busy(self) -> Generator[None]:
        self._open(create=True)
        with self._layout.lock_content():
            yield

    # For garbage collection, which only this store has.

    @property
    def layout(self) -> Layout:
        return self._layout

    def entries(self) -> list[tuple[str, str | None, Descriptor]]:
        """Every (repository, tag or None, manifest)."""
        return [
            (home, _tag(entry, home), _plain(entry)) for entry in self._layout.entries() if (home := _home(entry))
        ]

    def forget(self, digests: set[str]) -> None:
        """Remove manifests from the index, in every repository."""
        self._update(lambda entries: tuple(entry for entry in entries if entry.digest not in digests))

    def _subject(self, entry: Descriptor) -> str | None:
        """The digest of a manifest's subject; None if the manifest is damaged, which must not affect its subject."""
        with suppress(ContentError):
            if subject := self._layout.manifest(entry).subject:
                return subject.digest
        return None

    def _open(self, *, create: bool = False) -> None:
        try:
            Layout.open(self.root, create=create)
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror or error}; --store names another directory") from None

    def _entries(self) -> Entries:
        if not (self.root / "oci-layout").exists():
            return ()
        self._open()
        return self._layout.entries()

    def _named(self) -> Entries:
        """What another tool tagged without a repository's name, as ``oras cp --to-oci-layout`` does, is in one of the
        directory's name."""
        entries, name = self._entries(), self.root.resolve().name
        return tuple(
            replace(entry, annotations={**entry.annotations, REF_NAME: f"{name}:{ref}"})
            if (ref := ref_of(entry)) and ":" not in ref
            else entry
            for entry in entries
        )

    def _update(self, change: Callable[[Entries], Entries]) -> None:
        self._open(create=True)
        self._layout.update(change)

    def _put_manifest(self, data: bytes) -> Descriptor:
        self._open(create=True)
        manifest = read_manifest(data)
        descriptor = self._layout.put(data, manifest.media_type)
        return replace(descriptor, artifact_type=manifest.artifact_type)


def _home(entry: Descriptor) -> str:
    """The repository that an entry of the index belongs to; "" for one that another tool made without a name."""
    ref = ref_of(entry)
    home, _, tag = ref.rpartition(":") if ref else (entry.annotations.get(REPOSITORY, ""), "", "_")
    return home if is_repository(home) and is_tag(tag) else ""


def _tag(entry: Descriptor, repository: str) -> str | None:
    return (ref_of(entry) or "").rpartition(":")[2] or None if _home(entry) == repository else None


def _plain(entry: Descriptor) -> Descriptor:
    others = {name: text for name, text in entry.annotations.items() if name not in (REF_NAME, REPOSITORY)}
    return replace(entry, annotations=others)


def _listed(entries: Entries, repository: str, descriptor: Descriptor) -> Entries:
    """Entries with the descriptor in the repository, tagged or not."""
    if any(entry.digest == descriptor.digest and _home(entry) == repository for entry in entries):
        return entries
    return (*entries, replace(descriptor, annotations={REPOSITORY: repository}))


def _tagged(entries: Entries, repository: str, tag: str, descriptor: Descriptor) -> Entries:
    """Entries in which the tag points to the descriptor only."""
    kept = tuple(
        entry
        for entry in _untagged(entries, repository, tag)
        if ref_of(entry) or (_home(entry), entry.digest) != (repository, descriptor.digest)
    )
    return (*kept, replace(_plain(descriptor), annotations={REF_NAME: f"{repository}:{tag}"}))


def _untagged(entries: Entries, repository: str, tag: str) -> Entries:
    """Entries without the tag; a manifest without another tag stays, under its repository's name."""
    kept = tuple(entry for entry in entries if _tag(entry, repository) != tag)
    for entry in entries:
        if _tag(entry, repository) == tag:
            kept = _listed(kept, repository, _plain(entry))
    return kept


def _pieces(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
