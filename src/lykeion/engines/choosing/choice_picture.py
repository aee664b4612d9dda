"""Plots of measurements and the choice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core.pictures import new_figure, save_figure

from .bench_report import BenchResult

_LABELS = {
    "latency_ms": "latency, ms",
    "top1": "top-1",
    "size_bytes": "size, MB",
    "energy_uj": "energy, µJ",
}
_SCALES = {"size_bytes": 1e-6}


def draw_choice(results: Sequence[BenchResult], chosen: BenchResult | None, title: str, path: Path) -> None:
    """Latency against accuracy (if measured), size and energy; lines join the points that no other beats in both.

    Raises PictureError.
    """
    others = ["size_bytes", "energy_uj"]
    if any(each.top1 is not None for each in results):
        others.insert(0, "top1")
    figure = new_figure((4.6 * len(others), 4.4), extra="engines")
    figure.suptitle(title)
    for axes, other in zip(figure.subplots(1, len(others), squeeze=False)[0], others, strict=True):
        _panel(axes, [each for each in results if each.known.get(other) is not None], chosen, other)
    figure.axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path, folder=True)


def front(points: np.ndarray) -> np.ndarray:
    """Indices, ordered by the first column, of the points (n, 2) such that no other is as good or better in both
    columns; lower is better."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    kept, least = [], np.inf
    for place in order:
        if points[place, 1] < least:
            kept.append(place)
            least = points[place, 1]
    return np.array(kept, int)


def _panel(axes: Any, results: Sequence[BenchResult], chosen: BenchResult | None, other: str) -> None:
    points = np.array([(each.latency_ms, each.known[other] * _SCALES.get(other, 1)) for each in results])
    for engine in dict.fromkeys(each.engine for each in results):
        part = [place for place, each in enumerate(results) if each.engine == engine]
        axes.scatter(*points[part].T, s=22, label=engine)
    best = points[front(points * (1, -1 if other == "top1" else 1))]
    axes.plot(*best.T, color="0.6", linewidth=0.8, zorder=0)
    for place, each in enumerate(results):
        if chosen is not None and each.name == chosen.name:
            axes.scatter(*points[place], s=140, facecolors="none", edgecolors="black", label="chosen")
            axes.annotate(each.name, points[place], xytext=(6, 8), textcoords="offset points", fontsize=8)
    axes.set(xlabel=_LABELS["latency_ms"], ylabel=_LABELS[other], xscale="log")
    axes.spines[["top", "right"]].set_visible(False)
