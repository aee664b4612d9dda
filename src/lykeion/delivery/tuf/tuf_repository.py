"""A repository's directory: one writer at a time, and files in an order in which a reader never sees a mix.

public/metadata   signed metadata; all versions of the root
public/targets    files of models, by digest
delivery.json     where keys are, and for how long metadata are valid
staged/root.json  a root that still lacks signatures
classes/          for each version, the classes of devices it was published for
keys/             private keys, if they were made here: move those of the root elsewhere
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from lykeion.core import FileLock, Locked, LockError, write_atomically, writing
from lykeion.delivery.errors import RepositoryBusy, RepositoryDamaged

from .delivery_settings import DeliverySettings, read_settings
from .editions import Edition, Press
from .signing_clock import check_clock
from .signing_keys import Signing
from .tuf_state import TufState, check_not_interrupted, metadata_directory, read_state, targets_directory

Clock = Callable[[], datetime]
WAIT_S = 20.0
"""For another process that publishes."""


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class TufRepository:
    """Made by ``opened``, which holds the lock."""

    home: Path
    settings: DeliverySettings
    clock: Clock = wall_clock

    @property
    def press(self) -> Press:
        return Press(self.settings, Signing(self.home, self.settings.key_uris), self.clock())

    def state(self, *, clock_is_right: bool = False) -> TufState:
        """Raises RepositoryDamaged, RepositoryBusy, and WrongClock unless ``clock_is_right``, as a person says."""
        check_not_interrupted(self.home)
        state = read_state(self.home)
        if not clock_is_right:
            check_clock(state, self.settings, self.clock())
        return state

    def set(self, settings: DeliverySettings) -> None:
        with writing(self.home, RepositoryDamaged):
            settings.write(self.home)
        self.settings = settings

    def write_file(self, path: str, data: bytes) -> None:
        """A file of a target, whose name has its digest. Not written again where it is there in its length."""
        place = targets_directory(self.home) / path
        if place.is_file() and place.stat().st_size == len(data) and place.read_bytes() == data:
            return
        with writing(place, RepositoryDamaged, "free some space"):
            write_atomically(place, data)

    def commit(self, edition: Edition) -> TufState:
        """Publish; the files of its targets have been written before."""
        for name, data in edition.files:
            self._write(name, data)
        return edition.state

    def write_root(self, root: Metadata[Root]) -> None:
        self._write(f"{root.signed.version}.root.json", root.to_bytes())

    def _write(self, name: str, data: bytes) -> None:
        path = metadata_directory(self.home) / name
        with writing(path, RepositoryDamaged, "free some space and run the command again"):
            write_atomically(path, data)


@contextmanager
def opened(home: Path, *, clock: Clock = wall_clock, new: bool = False) -> Generator[TufRepository]:
    """The repository, locked. Raises DeliveryError if there is none, RepositoryBusy while another process has it."""
    settings = DeliverySettings() if new else read_settings(home)
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "LOCK")
    try:
        lock.acquire(wait_s=WAIT_S, name="turn")
    except (Locked, LockError) as held:
        raise RepositoryBusy(str(held)) from None
    try:
        yield TufRepository(home, settings if new else read_settings(home), clock)
    finally:
        lock.release()
