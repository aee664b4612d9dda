"""Near-duplicates: groups of copies of a photo, resized, recompressed or cropped, in several products.

Photos with the same bytes are copies; only the first of them is compared with other photos. Pairs whose vectors are
near are candidates; if both have thumbnails, their pixels decide, since different products can look alike to a
network. docs/duplicates.md gives the measured accuracy.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lykeion.core import SILENT, Progress, Reporter, Unsupported

from .index import Hit, Index
from .opening import opened
from .same_photo import Pixels, likeness, read_pixels
from .sheet import MAX_CARDS, Card, Thumbnail, draw_cards
from .thumbnails import IN_INDEX, ThumbnailPlace, Thumbnails

COSINE = 0.8
"""Minimum for candidates that are compared by their pixels."""
COSINE_ALONE = 0.95
"""Minimum for candidates without thumbnails."""
LIKENESS = 0.99
"""docs/duplicates.md has the results of other values."""
NEIGHBOURS = 8
_MANY_HITS = 1_024
"""If copies fill the answer of a search, it is repeated for more hits, until it has this many."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A photo of a product."""

    id: str
    photo: str

    def __str__(self) -> str:
        return f"{self.id} ({self.photo})" if self.photo not in ("", self.id) else self.id


@dataclass(frozen=True, slots=True)
class Group:
    """Photos considered the same, sorted by id.

    ``cosine`` and ``likeness`` are the lowest among the pairs that connect the group; ``likeness`` is None if a pair
    was compared only by its vectors.
    """

    members: list[Member]
    cosine: float
    likeness: float | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pair:
    first: Member
    second: Member
    cosine: float
    likeness: float | None


def duplicates(
    index: str | Path,
    *,
    cosine: float = COSINE,
    cosine_alone: float = COSINE_ALONE,
    alike: float = LIKENESS,
    thumbnails: ThumbnailPlace = IN_INDEX,
    reporter: Reporter = SILENT,
) -> list[Group]:
    """Groups of photos that are the same under different ids, largest first.

    The NEIGHBOURS nearest products of each photo are considered. With ``NO_THUMBNAILS``, only digests and vectors
    are compared. Raises Unsupported for an index of the l2 metric, and what opening the index raises.
    """
    file = thumbnails.of(index)
    with opened(index) as store:
        if store.metric != "cosine":
            raise Unsupported("duplicates are found by cosine; this index has the l2 metric")
        with (
            closing(Thumbnails(file)) if file else nullcontext() as kept,
            reporter.progress("comparing photos", store.stats().photos, unit="photos") as progress,
        ):
            look = kept.get if kept else lambda *_: None
            return groups_of(pairs_of(store, look, progress, cosine=cosine, cosine_alone=cosine_alone, alike=alike))


def pairs_of(
    index: Index, look: Thumbnail, progress: Progress, *, cosine: float, cosine_alone: float, alike: float
) -> Iterator[Pair]:
    """Pairs of photos considered the same; photos with the same bytes are each paired only with the first of them."""
    firsts = _first_of_same_bytes(index)
    yield from (Pair(first, copy, 1.0, 1.0) for copy, first in firsts.items() if copy != first)

    @lru_cache(maxsize=4096)
    def pixels(member: Member) -> Pixels | None:
        jpeg = look(member.id, member.photo)
        try:
            return read_pixels(jpeg) if jpeg else None
        except OSError:
            return None

    for first, second, near in _candidates(index, firsts, cosine, progress):
        a, b = pixels(first), pixels(second)
        if a is None or b is None:
            if near >= cosine_alone:
                yield Pair(first, second, near, None)
        elif (score := likeness(a, b)) >= alike:
            yield Pair(first, second, near, score)


def groups_of(pairs: Iterable[Pair]) -> list[Group]:
    """The connected components of the pairs that have photos of several products, by union-find, largest first."""
    parents: dict[Member, Member] = {}

    def root(member: Member) -> Member:
        while (parent := parents.setdefault(member, member)) != member:
            parents[member] = parents[parent]
            member = parents[member]
        return member

    kept = list(pairs)
    for pair in kept:
        parents[root(pair.first)] = root(pair.second)
    linked: dict[Member, list[Pair]] = {}
    for pair in kept:
        linked.setdefault(root(pair.first), []).append(pair)
    groups = [group for group in map(_group, linked.values()) if len({member.id for member in group.members}) > 1]
    return sorted(groups, key=lambda group: (-len(group.members), group.members))


def draw_groups(path: Path, groups: list[Group], thumbnail: Thumbnail) -> None:
    """Write a PNG of the groups, one below the other, up to MAX_CARDS photos."""
    sections: list[tuple[str, list[Card]]] = []
    room = MAX_CARDS
    for group in groups:
        if room <= 0:
            break
        members = group.members[:room]
        room -= len(members)
        judged = "by vectors alone" if group.likeness is None else f"likeness {group.likeness:.3f}"
        heading = f"{len(group.members)} photos · cosine {group.cosine:.3f} · {judged}"
        cards = [Card(thumbnail(member.id, member.photo), [member.id]) for member in members]
        sections.append((heading, cards))
    draw_cards(path, sections or [("No duplicates found.", [])])


def _first_of_same_bytes(index: Index) -> dict[Member, Member]:
    """Maps each photo whose bytes are in the index several times to the first photo with the same bytes."""
    hashes = [hash(photo.digest) for rows in index.scan() for photo in rows.photos if photo.digest]
    values, counts = np.unique(np.array(hashes, np.int64), return_counts=True)
    repeated = set(values[counts > 1].tolist())  # only their names are kept
    first: dict[str, Member] = {}
    return {
        (member := Member(id, photo.name)): first.setdefault(photo.digest, member)
        for rows in index.scan()
        for id, photo in zip(rows.ids, rows.photos, strict=True)
        if photo.digest and hash(photo.digest) in repeated
    }


def _candidates(
    index: Index, firsts: dict[Member, Member], cosine: float, progress: Progress
) -> Iterator[tuple[Member, Member, float]]:
    """Pairs of photos of different products with at least this cosine; copies are represented by the first."""
    seen: set[int] = set()  # hashes of pairs, since most are found from both sides
    for rows in index.scan(vectors=True, batch=256):
        assert rows.vectors is not None
        members = [Member(id, photo.name) for id, photo in zip(rows.ids, rows.photos, strict=True)]
        asked = [n for n, member in enumerate(members) if firsts.get(member, member) == member]
        progress.advance(len(members) - len(asked))
        found = index.search(rows.vectors[asked], NEIGHBOURS + 1)  # with attributes, which include photos' names
        for n, hits in zip(asked, found, strict=True):
            near = _near(members[n], hits, firsts, cosine)
            while len(near) < NEIGHBOURS < len(hits) < _MANY_HITS and hits[-1].score >= cosine:
                (more,) = index.search(rows.vectors[n : n + 1], 4 * len(hits))
                if len(more) == len(hits):
                    break
                hits, near = more, _near(members[n], more, firsts, cosine)
            for other, score in near.items():
                first, second = sorted((members[n], other))
                if (pair := hash((first, second))) not in seen:
                    seen.add(pair)
                    yield first, second, score
            progress.advance()


def _near(member: Member, hits: list[Hit], firsts: dict[Member, Member], cosine: float) -> dict[Member, float]:
    """At most NEIGHBOURS photos among the hits, with their scores."""
    near: dict[Member, float] = {}
    for hit in hits:
        found = Member(hit.id, hit.photo)
        first = firsts.get(found, found)
        if hit.score >= cosine and hit.id != member.id and first != member and len(near) < NEIGHBOURS:
            near.setdefault(first, hit.score)
    return near


def _group(links: list[Pair]) -> Group:
    members = sorted({member for pair in links for member in (pair.first, pair.second)})
    scores = [pair.likeness for pair in links]
    lowest = None if None in scores else min(score for score in scores if score is not None)
    return Group(members, min(pair.cosine for pair in links), lowest)
