"""Quality and latency of an index's answers, compared with labels, pairs or exact search."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lykeion.core.pictures import new_figure, save_figure

from . import measures
from .embedder import Embedder
from .index import Hit, Index
from .opening import check_embedder, opened
from .precision_price import PrecisionPrice, precision_price
from .thumbnails import IN_INDEX, ThumbnailPlace
from .truth import Query, TruthError, queries_of

MAX_R = 1000
"""The maximum of R for MAP@R, whatever a label's size."""
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures averaged over ``queries``; ``curves`` has each at the cut-offs 1 ... k; latency is in ms, one query
    per call."""

    truth: str
    queries: int
    k: int
    map_at_r: float
    curves: dict[str, list[float]]
    latencies_ms: list[float]
    price: PrecisionPrice | None = None
    """What embedding queries in less precision costs, if it was asked for and the index has thumbnails."""

    @property
    def measures(self) -> dict[str, float]:
        at_k = {f"{name}@{self.k}": curve[-1] for name, curve in self.curves.items()}
        return {**at_k, "MAP@R": self.map_at_r}

    @property
    def latency_ms(self) -> dict[str, float]:
        values = np.percentile(self.latencies_ms, PERCENTILES)
        return {f"p{p}": round(float(value), 4) for p, value in zip(PERCENTILES, values, strict=True)}

    def to_json(self) -> dict[str, object]:
        return {
            "truth": self.truth,
            "queries": self.queries,
            "k": self.k,
            "measures": self.measures,
            "latency_ms": self.latency_ms,
            "curves": self.curves,
            "embed_precision": self.price.to_json() if self.price else None,
        }

    def table(self) -> list[tuple[str, str]]:
        """Rows of a table: name and value."""
        return [
            ("truth", self.truth),
            ("queries", f"{self.queries:,}"),
            *((name, f"{value:.4f}") for name, value in self.measures.items()),
            *((f"latency {name}", f"{value:.2f} ms") for name, value in self.latency_ms.items()),
            *(_price_rows(self.price) if self.price else ()),
        ]

    def plot(self, path: Path) -> None:
        """Write a picture: the measures by cut-off, and the distribution of latency."""
        figure = new_figure((9, 3.6), extra="train")
        left, right = figure.subplots(1, 2)
        cuts = range(1, self.k + 1)
        for name, curve in self.curves.items():
            left.plot(cuts, curve, marker="o", markersize=3, label=name)
        left.set(xlabel="answers looked at (k)", ylabel="mean over queries", ylim=(-0.02, 1.02))
        left.set_title(f"{self.truth}, {self.queries:,} queries, MAP@R {self.map_at_r:.3f}", fontsize=10)
        left.legend(frameon=False)
        right.ecdf(self.latencies_ms)
        for value in self.latency_ms.values():
            right.axvline(value, color="grey", linewidth=0.8, linestyle=":")
        right.set_title(" · ".join(f"{name} {value:.2f} ms" for name, value in self.latency_ms.items()), fontsize=10)
        right.set(xlabel="latency of one query, ms", ylabel="share of queries", xscale="log")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        save_figure(figure, path)


def _price_rows(price: PrecisionPrice) -> list[tuple[str, str]]:
    return [
        ("queries embedded by", price.engine),
        (f"their recall@{price.k}", f"{price.recall:.4f} of exact vectors' answers, {price.photos:,} photos"),
        ("their least cosine", f"{price.cosine:.6f}"),
    ]


def evaluate(
    index: Index | str | Path,
    truth: str | Path = "exact",
    *,
    k: int = 10,
    queries: int = 1000,
    fast: Embedder | None = None,
    thumbnails: ThumbnailPlace = IN_INDEX,
) -> Evaluation:
    """Search the index with up to ``queries`` of its own photos and compare the answers with the truth:

    - ``"exact"``: the k nearest by brute force over the stored vectors; recall@k then is that of the ANN index.
    - ``"label:COLUMN"``: relevant are the products with the same value in that attribute.
    - the path of a CSV with the columns query_id, relevant_id and optionally grade (larger is better, default 1).

    A query's own product is not among its answers. The sample is the same for the same ids. With ``fast``, an
    embedder in less precision, what that costs is measured with the index's thumbnails. Raises TruthError,
    EmbedderMismatch, and what opening the index raises.
    """
    with opened(index) as source:
        if fast:
            check_embedder(source, fast)
        asked = list(queries_of(source, str(truth), k, queries))
        if not asked:
            raise TruthError(f"{truth}: no product of the index has a relevant product there")
        done = _evaluate(source, str(truth), asked, k)
        if not fast:
            return done
        exact = Embedder(fast.path, fast.card)
        thumbnail = thumbnails.reader(index if isinstance(index, str | Path) else source.path or "")
        return replace(done, price=precision_price(source, thumbnail, fast, exact, k=k))


def _evaluate(index: Index, truth: str, asked: list[Query], k: int) -> Evaluation:
    depth = max(k, min(MAX_R, max(query.relevant for query in asked)))
    _answers(index, asked[0], depth)  # the first query of a process also opens files
    latencies, grades = [], np.zeros((len(asked), depth))
    for row, query in enumerate(asked):
        started = time.perf_counter()
        answers = _answers(index, query, k)
        latencies.append((time.perf_counter() - started) * 1000)
        if depth > k:
            answers = _answers(index, query, depth)
        grades[row, : len(answers)] = [query.grade(hit) for hit in answers]
    ideal = np.zeros((len(asked), k))
    for row, query in enumerate(asked):
        ideal[row, : len(query.ideal)] = query.ideal[:k]
    relevant = np.array([query.relevant for query in asked])
    top = grades[:, :k]
    curves = {
        "recall": measures.recall(top, relevant),
        "precision": measures.precision(top),
        "hit rate": measures.hit_rate(top),
        "nDCG": measures.ndcg(top, ideal),
    }
    return Evaluation(
        truth=truth,
        queries=len(asked),
        k=k,
        map_at_r=measures.map_at_r(grades, relevant),
        curves={name: curve.round(6).tolist() for name, curve in curves.items()},
        latencies_ms=latencies,
    )


def _answers(index: Index, query: Query, k: int) -> list[Hit]:
    hits = index.search(query.vector[None], k + 1)[0]
    return [hit for hit in hits if hit.id != query.id][:k]
