"""The slots of all models on disk: content-addressed files, and for each model one pointer file, replaced by a rename
after its content is synced.

    models/shoes.json    which versions are in the slots of shoes, and how far each has come
    files/0a1b…          a model or the file that comes with it, named by its SHA-256
    parts/0a1b….part     what is being downloaded
    LOCK                 held while any of it is changed
"""

import errno
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lykeion.core import digest_bytes, fitting, parse_json
from lykeion.device.durable_files import Disk, FileLayer, replace_file
from lykeion.device.errors import SlotError
from lykeion.device.signed_target import is_model_name

from .slot_state import Offer, SlotState, fallen_back, read_state, started

DEFAULT_QUOTA_BYTES = 1 << 30
RESERVE_BYTES = 16 << 20
"""Left free on the file system, for the app's own files."""
_POINTER = ".json"


class NoSpace(SlotError):
    """Neither the quota nor the file system has room; what is there stays in use."""


class DamagedFile(SlotError):
    """A kept file is missing or is not what its name says."""


@dataclass(frozen=True, slots=True)
class StartedModel:
    """What an app starts with: the model file's bytes, those of the file that comes with it (empty without one), and
    whether the version is confirmed."""

    offer: Offer
    content: bytes
    companion: bytes
    confirmed: bool


@dataclass(frozen=True, slots=True)
class ModelSlots:
    """Every method raises SlotError where the files cannot be read or written. Safe among threads and processes."""

    home: Path
    files: FileLayer = field(default_factory=Disk)
    quota_bytes: int = DEFAULT_QUOTA_BYTES

    def names(self) -> list[str]:
        """Of the models that have a slot."""
        found = [Path(name) for name in self.files.names(self.home / "models")]
        return [each.stem for each in found if each.suffix == _POINTER]

    def state(self, name: str) -> SlotState:
        path = self._pointer(name)
        try:
            plain = parse_json(self.files.read(path), SlotError, "list of slots", where=f"{path}: ")
        except FileNotFoundError:
            return SlotState()
        except OSError as error:
            raise SlotError(f"{path}: cannot be read ({error.strerror or error})") from None
        with fitting(SlotError, "list of slots", where=f"{path}: "):
            return read_state(plain, str(path))

    def change(self, name: str, how: Callable[[SlotState], SlotState]) -> SlotState:
        """The state after ``how``, durable when this returns."""
        with self._changing():
            before = self.state(name)
            after = how(before)
            if after != before:
                self._write(self._pointer(name), json.dumps(after.to_json()).encode())
            return after

    def start(self, name: str) -> StartedModel | None:
        """The model to run now, verified, or None where there is none; it counts as a start of the app.

        A version whose file is damaged, and one that too many starts did not confirm, is given up for the last one
        that was confirmed.
        """
        while (running := self.change(name, started).running) is not None:
            target = running.offer.target
            try:
                content = self.load(target.file)
                companion = self.load(target.companion.digest) if target.companion else b""
            except DamagedFile as damage:
                self.change(name, partial(fallen_back, cause=str(damage)))
                self.discard(target.file, *([target.companion.digest] if target.companion else []))
                continue
            return StartedModel(running.offer, content, companion, running.step == "confirmed")
        return None

    def discard(self, *digests: str) -> None:
        """Remove kept files and parts, so that they are fetched again."""
        with self._changing():
            for digest in digests:
                self.files.remove(self._file(digest))
                self.files.remove(self._part(digest))

    def has(self, digest: str) -> bool:
        return self.files.size(self._file(digest)) >= 0

    def load(self, digest: str) -> bytes:
        """A kept file's content. Raises DamagedFile."""
        return self._read(self._file(digest), digest)

    def keep(self, digest: str, content: bytes) -> None:
        """Durable when this returns."""
        with self._changing():
            self._write(self._file(digest), content)

    def fetch(self, digest: str, download: Callable[[FileLayer, Path], bytes]) -> bytes:
        """What ``download`` returns, which is given the path of the part, where a part of it may be already."""
        with _as_slot_error(self.home):
            self.files.make_directory(self.home / "parts")
            return download(self.files, self._part(digest))

    def load_part(self, digest: str) -> bytes:
        """What was downloaded. Raises DamagedFile."""
        return self._read(self._part(digest), digest)

    def discard_part(self, digest: str) -> None:
        with self._changing():
            self.files.remove(self._part(digest))

    def make_room(self, needed_bytes: int) -> None:
        """Remove files that no slot needs until so many bytes more may be written. Raises NoSpace: the versions in
        slots are never removed."""
        with self._changing():
            removable = self._removable()
            while (lacking := self._lacking(needed_bytes)) > 0:
                if not removable:
                    raise NoSpace(
                        f"{self.home}: {lacking:,} bytes too few for the next version; the present one stays in use"
                    )
                self.files.remove(removable.pop())

    def used_bytes(self) -> int:
        """Of models and parts of them."""
        return sum(max(self.files.size(path), 0) for path in self._stored())

    def _lacking(self, needed_bytes: int) -> int:
        free = self.files.free_bytes(self.home) - RESERVE_BYTES
        return needed_bytes - min(self.quota_bytes - self.used_bytes(), free)

    def _stored(self) -> list[Path]:
        places = (self.home / "files", self.home / "parts")
        return [place / name for place in places for name in self.files.names(place)]

    def _removable(self) -> list[Path]:
        """Other versions' files; first (at the end) parts of what nobody wants any more."""
        states = [self.state(name) for name in self.names()]
        needed = {_hex(digest) for state in states for digest in state.files()}
        coming = [state.coming for state in states if state.coming]
        for each in coming:
            needed |= {_hex(each.offer.digest), *(_hex(delta.digest) for delta in each.offer.target.deltas)}
        return [path for path in self._stored() if path.name.partition(".")[0] not in needed]

    def _read(self, path: Path, digest: str) -> bytes:
        try:
            content = self.files.read(path)
        except OSError as error:
            raise DamagedFile(f"{path}: cannot be read ({error.strerror or error})") from None
        if digest_bytes(content) != digest:
            raise DamagedFile(f"{path}: it is not what it was when it was kept")
        return content

    def _write(self, path: Path, content: bytes) -> None:
        self.files.make_directory(path.parent)
        replace_file(self.files, path, content)

    @contextmanager
    def _changing(self) -> Generator[None]:
        with _as_slot_error(self.home):
            self.files.make_directory(self.home)
            with self.files.exclusive(self.home / "LOCK"):
                yield

    def _pointer(self, name: str) -> Path:
        if not is_model_name(name):
            raise SlotError(f"{name[:64]!r} is not the name of a model")
        return self.home / "models" / (name + _POINTER)

    def _part(self, digest: str) -> Path:
        return self.home / "parts" / (_hex(digest) + ".part")

    def _file(self, digest: str) -> Path:
        return self.home / "files" / _hex(digest)


@contextmanager
def _as_slot_error(home: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind, advice = (NoSpace, "; the present version stays in use") if full else (SlotError, "")
        raise kind(f"{error.filename or home}: cannot be written ({error.strerror or error}){advice}") from None


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
