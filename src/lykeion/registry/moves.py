"""Records of alias moves (who, when, from, to), in the store beside the model.

A record is an artifact whose annotations describe the move; it has its own tag, written once, and the digest of its
predecessor. So two concurrent moves, of which a registry kept only the last, show as two records with one
predecessor.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from lykeion.core import digest_bytes
from lykeion.oci import EMPTY, ContentError, ImageManifest, read_manifest
from lykeion.oci.distribution import is_digest

from .artifact.facts import ANNOTATION

RECORD = "application/vnd.lykeion.move.v1+json"
_TAG = re.compile(r"(?:lykeion\.|_)moved\.(.+)\.(\d{6})(?:\.[0-9a-f]{12})?")


@dataclass(frozen=True, slots=True)
class Move:
    """``before`` and ``after`` are digests, "" for nowhere; ``at`` is a time in ISO 8601, UTC; ``sequence`` counts an
    alias's moves from 1; ``predecessor`` is the digest of the record before, "" for the first."""

    alias: str
    sequence: int
    before: str
    after: str
    by: str
    at: str
    predecessor: str

    @property
    def manifest(self) -> bytes:
        told = {f"{ANNOTATION}move.{name}": str(value) for name, value in asdict(self).items()}
        return ImageManifest(EMPTY, (EMPTY,), artifact_type=RECORD, annotations=told).to_bytes()

    @property
    def digest(self) -> str:
        return digest_bytes(self.manifest)

    def tag(self, *, unique: bool) -> str:
        """``unique``: give concurrent moves of one sequence different tags, for stores without compare-and-swap."""
        end = f".{self.digest.removeprefix('sha256:')[:12]}" if unique else ""
        return f"lykeion.moved.{self.alias}.{self.sequence:06}{end}"


def read_move(data: bytes) -> Move:
    """Raises ContentError if it is not a record."""
    told = read_manifest(data).annotations
    try:
        fields = {name: told[f"{ANNOTATION}move.{name}"] for name in Move.__slots__}
        move = Move(**{**fields, "sequence": int(fields["sequence"])})  # type: ignore[arg-type]
    except (KeyError, ValueError):
        raise ContentError(f"{digest_bytes(data)} is not a record of a move") from None
    if not all(text == "" or is_digest(text) for text in (move.before, move.after, move.predecessor)):
        raise ContentError(f"{digest_bytes(data)}: a move between invalid digests")
    return move


def alias_of(tag: str) -> tuple[str, int] | None:
    """Alias and sequence from a record's tag; None for other tags."""
    match = _TAG.fullmatch(tag)
    return (match[1], int(match[2])) if match else None


def records_of(alias: str, tags: Iterable[str]) -> list[str]:
    """The tags of an alias's records, in order."""
    own = [tag for tag in tags if (told := alias_of(tag)) and told[0] == alias]
    return sorted(own, key=lambda tag: (alias_of(tag) or ("", 0))[1])


def problems(moves: Sequence[Move], *, all_known: bool = True) -> list[str]:
    """Problems found in the moves: lost updates, missing records, moves by other tools.

    ``all_known``: whether ``moves`` are the whole history of their aliases.
    """
    found: list[str] = []
    known = {move.digest: move for move in moves}
    for after, count in Counter((move.alias, move.predecessor) for move in moves).items():
        if count > 1:
            crossed = [move for move in moves if (move.alias, move.predecessor) == after]
            words = " and ".join(f"{move.by} at {move.at} to {move.after[:19] or 'nowhere'}" for move in crossed)
            found.append(f"{crossed[0].alias}: concurrent moves, one was lost: {words}")
    for move in moves:
        before = known.get(move.predecessor)
        if before and before.after != move.before:
            found.append(
                f"{move.alias}: before move {move.sequence} it was moved without a record, or a move was lost"
            )
        elif all_known and move.predecessor and not before:
            found.append(f"{move.alias}: the record before move {move.sequence} is missing")
    return found
