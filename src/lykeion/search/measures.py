"""Measures of a ranking, averaged over queries.

``grades`` is float (queries, depth): the relevance of each answer, best answer first, 0 if it is not relevant or
missing. ``relevant`` is int (queries,): how many relevant products each query has, at least one. Results
"at every cut-off" are float (depth,), the measure at k = 1, 2, ... depth.
"""

import numpy as np


def recall(grades: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """At every cut-off: the share of a query's relevant products that are among the first k answers."""
    return (np.cumsum(grades > 0, axis=1) / relevant[:, None]).mean(axis=0)


def precision(grades: np.ndarray) -> np.ndarray:
    """At every cut-off: the share of the first k answers that are relevant."""
    return _precision(grades).mean(axis=0)


def hit_rate(grades: np.ndarray) -> np.ndarray:
    """At every cut-off: the share of queries with a relevant product among the first k answers.

    Metric learning calls this recall@k (Jegou et al. 2011; Musgrave et al. 2020).
    """
    return np.maximum.accumulate(grades > 0, axis=1).mean(axis=0)


def ndcg(grades: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    """At every cut-off: normalised discounted cumulative gain (Jarvelin and Kekalainen 2002).

    ``ideal`` is float (queries, depth): the grades of the best possible answers, best first, padded with 0. The gain
    of a grade g is 2**g - 1 and the discount at rank i is log2(i + 1) (Burges et al. 2005).
    """
    return (_gain(grades) / _gain(ideal)).mean(axis=0)


def map_at_r(grades: np.ndarray, relevant: np.ndarray) -> float:
    """MAP@R (Musgrave, Belongie, Lim, "A Metric Learning Reality Check", 2020, section 3.2).

    For a query with R relevant products: the mean over ranks i = 1 ... R of precision@i where answer i is relevant,
    else 0. R is limited to ``depth``.
    """
    depth = np.minimum(relevant, grades.shape[1])
    counted = (grades > 0) & (np.arange(grades.shape[1]) < depth[:, None])
    return float(((_precision(grades) * counted).sum(axis=1) / depth).mean())


def _precision(grades: np.ndarray) -> np.ndarray:
    return np.cumsum(grades > 0, axis=1) / np.arange(1, grades.shape[1] + 1)


def _gain(grades: np.ndarray) -> np.ndarray:
    return np.cumsum((2.0**grades - 1) / np.log2(np.arange(2, grades.shape[1] + 2)), axis=1)
