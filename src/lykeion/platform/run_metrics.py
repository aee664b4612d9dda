"""What is shown of the metrics of a run: a summary of each, and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion.core.pictures import new_figure, save_figure

STEP = "step"
LIMIT_METRICS = 64
LIMIT_CURVES = 12
LIMIT_DRAWN = 1e100
"""Far beyond it, matplotlib's arithmetic overflows."""

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class MetricSummary:
    """``step`` is where the last value was measured; without steps, the number of its row from 1."""

    name: str
    last: float
    step: float
    minimum: float
    maximum: float


def summarize_metrics(rows: Rows) -> list[MetricSummary]:
    """Of the first 64 metrics, in the order in which they appear; ``step`` is none."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != STEP]
    curves = {name: _curve(rows, name) for name in names[:LIMIT_METRICS]}
    return [
        MetricSummary(name, values[-1], steps[-1], min(values), max(values))
        for name, (steps, values) in curves.items()
    ]


def draw_metrics(rows: Rows, title: str, path: Path) -> None:
    """Each of the first 12 metrics over steps, in the format of the path's suffix. Raises PictureError."""
    names = [each.name for each in summarize_metrics(rows)][:LIMIT_CURVES]
    lines = max(1, -(-len(names) // 3))
    figure = new_figure((10, 2.8 * lines), extra="train")
    figure.suptitle(title)
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(lines, min(3, len(names)), place)
        steps, values = (np.clip(np.array(each, float), -LIMIT_DRAWN, LIMIT_DRAWN) for each in _curve(rows, name))
        axes.plot(steps, values, marker="." if len(rows) < 50 else None)
        axes.set_xlabel(STEP)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    save_figure(figure, path)


def _curve(rows: Rows, name: str) -> tuple[list[float], list[float]]:
    """The steps and values of a metric. What a program has repeated after it was resumed counts once."""
    values = {row.get(STEP, number): row[name] for number, row in enumerate(rows, 1) if name in row}
    return list(values), list(values.values())
