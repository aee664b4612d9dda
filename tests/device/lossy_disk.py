"""A disk in memory that can lose power: after a cut, what was not synced is there, or not, or in part."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Wrote:
    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Named:
    """Names, all in ``directory`` but for the source of a move, that now mean an inode or nothing."""

    directory: Path
    names: dict[Path, int | None]


@dataclass(frozen=True)
class Synced:
    what: int | Path


Change = Wrote | Named | Synced


@dataclass
class LossyDisk:
    """``log`` has every change; ``before`` is called before each, with their number so far."""

    contents: dict[int, bytearray] = field(default_factory=dict)
    inodes: dict[Path, int] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    free: int = 1 << 40
    before: Callable[[int], object] = lambda number: None

    def read(self, path: Path) -> bytes:
        return bytes(self.contents[self._inode(path)])

    def size(self, path: Path) -> int:
        return len(self.contents[self.inodes[path]]) if path in self.inodes else -1

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in self.inodes if path.parent == directory)

    def make_directory(self, path: Path) -> None:
        pass

    def write(self, path: Path, data: bytes) -> None:
        self._wrote(path, 0, data)

    def append(self, path: Path, data: bytes) -> None:
        self._wrote(path, max(self.size(path), 0), data)

    def _wrote(self, path: Path, offset: int, data: bytes) -> None:
        if path not in self.inodes:
            self._make(Named(path.parent, {path: len(self.contents)}))
        self._make(Wrote(self.inodes[path], offset, data))

    def sync(self, path: Path) -> None:
        self._make(Synced(self.inodes.get(path, path)))

    def rename(self, source: Path, target: Path) -> None:
        self._make(Named(target.parent, {target: self._inode(source), source: None}))

    def remove(self, path: Path) -> None:
        if path in self.inodes:
            self._make(Named(path.parent, {path: None}))

    def free_bytes(self, directory: Path) -> int:
        return self.free

    @contextmanager
    def exclusive(self, path: Path) -> Generator[None]:
        yield

    def after_power_loss(self, cut: int, share: Callable[[], float]) -> "LossyDisk":
        """The disk if power was lost after ``cut`` changes: of those that no sync made durable, ``share`` says how
        much is there: nothing at 0, of a name all above 0."""
        disk = LossyDisk()
        for number, change in enumerate(self.log[:cut]):
            durable = any(_makes_durable(later, change) for later in self.log[number + 1 : cut])
            disk._change(change, 1.0 if durable else share())
        return disk

    def _make(self, change: Change) -> None:
        self.before(len(self.log))
        self.log.append(change)
        self._change(change, 1.0)

    def _change(self, change: Change, share: float) -> None:
        if isinstance(change, Named):
            for path, inode in change.names.items():
                if inode is not None:
                    self.contents.setdefault(inode, bytearray())
                if share and inode is None:
                    self.inodes.pop(path, None)
                elif share and inode is not None:
                    self.inodes[path] = inode
        elif isinstance(change, Wrote) and share:
            content = self.contents[change.inode]
            content.extend(bytes(max(0, change.offset - len(content))))
            content[change.offset :] = change.data[: int(share * len(change.data))]

    def _inode(self, path: Path) -> int:
        if path not in self.inodes:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return self.inodes[path]


def _makes_durable(later: Change, change: Change) -> bool:
    if not isinstance(later, Synced):
        return False
    return later.what == (change.inode if isinstance(change, Wrote) else getattr(change, "directory", None))
