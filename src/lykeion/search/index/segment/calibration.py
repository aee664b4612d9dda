"""Calibration of a segment's search effort, when it is written, since the effort depends on the data.

The effort is the least with which searches find what a many times more thorough search finds. Queries are displaced
rows of the segment, since a query photo is not one of those stored.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from .kernel import Effort, Scope, Searchable, SegmentCodes, nearest

DEFAULT = Effort(ef=64, rerank=40, scan=16)
"""The minimum for k = 10, which filters that disagree with the query need even on easy data."""
_LEAST_IN_GROUPS = DEFAULT._replace(scan=4)
"""The minimum without a filter where there are many cells, each of a small share of what DEFAULT scans."""
_TARGET = 0.99
_K = 10
_QUERIES = 64
_MOVED = 0.5
"""Distance of a query from its row, as a share of the difference of two other rows."""
_MARGIN = 2
"""Re-ranking costs little compared with scanning, and queries very different from the rows need more of it."""
_SCANS = tuple(2 ** (step / 2) for step in range(4, 19))
_RERANKS = tuple(20 * 2 ** (step / 2) for step in range(15))
_THOROUGH = Effort(ef=1_024, rerank=400, scan=512)


def calibrate(vectors: np.ndarray, codes: SegmentCodes) -> Effort:
    """The effort for a recall of _TARGET among ten answers. ``vectors``: (rows, dimension), in the codes' order."""
    generator = np.random.default_rng(0)
    rows, first, second = (
        vectors[np.sort(generator.integers(0, len(vectors), _QUERIES))].astype(np.float32) for _ in range(3)
    )
    queries = rows + np.float32(_MOVED) * (generator.permutation(first) - generator.permutation(second))
    cells = Scope([Searchable(vectors, len(vectors), replace(codes, links=None))], [None])
    truth = np.array([scores[-1] for scores in _answers(cells, queries, _THOROUGH)])
    # Each setting is found with generous values of the others, and must leave room for the losses of later ones.
    least = DEFAULT if len(codes.group_cells) == 2 else _LEAST_IN_GROUPS
    scans = [scan for scan in _SCANS if scan >= least.scan]
    scan = _least(scans, lambda scan: _recall(cells, queries, _THOROUGH._replace(scan=scan), truth), 0.4)
    found = _THOROUGH._replace(scan=scan)
    rerank = _least(_RERANKS, lambda rerank: _recall(cells, queries, _rerank(found, rerank), truth), 1.0)
    found = _rerank(found, _MARGIN * rerank)
    if codes.links is None:
        return hardest([least, found._replace(ef=DEFAULT.ef)])
    graph = Scope([Searchable(vectors, len(vectors), codes)], [None])
    ef = _least(_RERANKS, lambda ef: _recall(graph, queries, found._replace(ef=math.ceil(ef)), truth), 1.0)
    return hardest([least, found._replace(ef=math.ceil(ef))])


def hardest(efforts: Iterable[Effort]) -> Effort:
    """An effort that is enough for all of these."""
    efforts = list(efforts) or [DEFAULT]
    return Effort(*(max(values) for values in zip(*efforts, strict=True)))


@lru_cache(256)
def effort_for(k: int, base: Effort) -> Effort:
    """The effort for k answers, given ``base`` for ten."""
    more = max(1.0, math.sqrt(k / _K))
    rerank = max(math.ceil(base.rerank * more), 2 * k)
    return Effort(max(math.ceil(base.ef * more), rerank), rerank, base.scan * more)


def _rerank(effort: Effort, rerank: float) -> Effort:
    return effort._replace(rerank=math.ceil(rerank))


def _least(settings: Sequence[float], recall: Callable[[float], float], share: float) -> float:
    """The first setting that loses at most ``share`` of the total loss that the target allows; else the last."""
    return next((setting for setting in settings if recall(setting) >= 1 - share * (1 - _TARGET)), settings[-1])


def _recall(scope: Scope, queries: np.ndarray, effort: Effort, truth: np.ndarray) -> float:
    """The share of answers that are as near as the last true one, so that any copy of a vector counts."""
    found = _answers(scope, queries, effort)
    right = sum(sum(score <= last for score in scores) for scores, last in zip(found, truth, strict=True))
    return right / sum(map(len, found))


def _answers(scope: Scope, queries: np.ndarray, effort: Effort) -> list[list[float]]:
    """The squared distances of the nearest rows, ascending."""
    return [nearest(scope, query, _K, effort, squared=True).scores for query in queries]
