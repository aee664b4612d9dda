"""A reporter that keeps what it hears, as a platform would."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Piece:
    title: str
    total: int | None
    unit: str
    done: int = 0
    ended: bool = False

    def advance(self, count: int = 1) -> None:
        self.done += count


@dataclass
class Recorder:
    pieces: list[Piece] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @contextmanager
    def progress(self, title: str, total: int | None = None, *, unit: str = "items") -> Generator[Piece]:
        self.pieces.append(piece := Piece(title, total, unit))
        yield piece
        piece.ended = True

    def notice(self, text: str) -> None:
        self.notices.append(text)
