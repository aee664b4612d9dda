"""Interleaving of two rankings, for search: each person sees both in one list, and chooses.

Team draft (Radlinski, Kurup, Joachims: How does clickthrough data reflect retrieval quality?, 2008): rankings choose
in turns, who begins is drawn for each pair of turns, and each adds its best answer that is not there yet.
"""

import random
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Answer = TypeVar("Answer")


class Drafted(NamedTuple, Generic[Answer]):
    """An answer, and which ranking it is credited to: 0 or 1."""

    answer: Answer
    team: int


def team_draft(first: Sequence[Answer], second: Sequence[Answer], count: int, seed: str) -> list[Drafted[Answer]]:
    """At most ``count`` answers, each once. The same ``seed`` gives the same list: take one for each search."""
    chance = random.Random(seed)  # noqa: S311 - it divides answers, and protects nothing
    rankings, places, taken = (first, second), [0, 0], set[Answer]()
    drafted: list[Drafted[Answer]] = []
    while len(drafted) < count:
        begins = chance.randrange(2)
        added = False
        for team in (begins, 1 - begins):
            while places[team] < len(rankings[team]) and rankings[team][places[team]] in taken:
                places[team] += 1
            if places[team] < len(rankings[team]) and len(drafted) < count:
                answer = rankings[team][places[team]]
                taken.add(answer)
                drafted.append(Drafted(answer, team))
                added = True
        if not added:
            break
    return drafted
