"""A report of all steps of a compression: one HTML page with embedded pictures, which works offline."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import write_atomically, writing
from lykeion.core.pictures import new_figure
from lykeion.engines.choosing import front

from .compressed_model import CompressedModel, kernel_layers
from .compressing import StepRow, read_rows
from .errors import CompressionError
from .network_files import open_model

REPORT_COLUMNS = (
    "step",
    "top-1",
    "change",
    "file",
    "zstd",
    "Huffman",
    "packed",
    "smaller",
    "MAdds",
    "zeros",
    "values",
    "ms",
)


SHOWN_COLUMNS = ("step", "top-1", "change", "file", "packed", "smaller", "zeros", "ms")
"""Columns that fit in a terminal."""


def accuracies(rows: Sequence[StepRow]) -> tuple[list[float], str]:
    """Accuracies of all rows on the same photos: "test" if all were evaluated on these, else "validation"."""
    test = [row.test_accuracy for row in rows if row.test_accuracy is not None]
    return (test, "test") if len(test) == len(rows) else ([row.accuracy for row in rows], "validation")


def report_table(rows: Sequence[StepRow]) -> list[tuple[str, ...]]:
    """The cells of COLUMNS, bytes in kB."""
    found, _ = accuracies(rows)
    return [_cells(row, rows[0], accuracy, found[0]) for row, accuracy in zip(rows, found, strict=True)]


def _cells(row: StepRow, first: StepRow, accuracy: float, before: float) -> tuple[str, ...]:
    sizes = (row.sizes.file, row.sizes.zstd, row.sizes.huffman, row.sizes.packed)
    return (
        row.step,
        f"{accuracy:.2%}",
        "" if row is first else f"{100 * (accuracy - before):+.2f}",
        *("" if size is None else f"{size / 1000:,.1f}" for size in sizes),
        f"{first.sizes.file / row.sizes.packed:.1f} ×",
        f"{row.multiply_adds / 1e6:.2f} M",
        f"{row.sparsity:.0%}",
        "" if row.values is None else str(row.values),
        "" if row.latency_ms is None else f"{row.latency_ms:.3f}",
    )


def write_page(run: Path, path: Path) -> None:
    """The page of a compression run. Raises CompressionError."""
    rows = read_rows(run)
    model = open_model(run / rows[-1].step)
    page = _page(model, rows)
    with writing(path, CompressionError):
        write_atomically(path, page.encode())


def draw_ways(rows: Sequence[StepRow], axes: Any) -> None:
    """Accuracy against delivered bytes, one point per step; a line joins those that no other beats in both."""
    sizes = [row.sizes.packed / 1000 for row in rows]
    found, photos = accuracies(rows)
    points = np.column_stack([sizes, 100 * np.array(found)])
    axes.plot(*points[front(points * (1, -1))].T, color="0.7", zorder=0)
    axes.scatter(*points.T, color="#0b6e99")
    for row, point in zip(rows, points, strict=True):
        axes.annotate(row.step, point, xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.set(xscale="log", xlabel="delivered, kB", ylabel=f"top-1 on {photos} photos, %")
    axes.grid(alpha=0.3, which="both")


def _page(model: CompressedModel, rows: Sequence[StepRow]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in REPORT_COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in report_table(rows)
    )
    name, last, photos = escape(model.architecture.name), rows[-1], accuracies(rows)[1]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}, compressed</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left }}
img {{ max-width: 100% }}
</style>
<h1>{name}</h1>
<p>From {rows[0].sizes.file / 1000:,.0f} kB to {last.sizes.packed / 1000:,.0f} kB delivered. Sizes are in kB, top-1 is
on {photos} photos, ms is the median of one photo on one thread of the machine that ran this.</p>
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
<h2>Accuracy and size</h2>
{_picture(lambda figure: draw_ways(rows, figure.subplots()), (8, 4.5))}
<h2>Layers of {escape(last.step)}</h2>
{_picture(lambda figure: _draw_layers(model, figure), (10, 1.5 + 0.22 * len(model.kernels)))}
</html>
"""


def _draw_layers(model: CompressedModel, figure: Any) -> None:
    """For each kernel: its weights, its share of zeros, and its distinct values with the frequency of each."""
    kernels = model.kernels
    names, places = list(kernels), np.arange(len(kernels))
    weights, zeros, books = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 2))
    weights.barh(places, [kernel.size for kernel in kernels.values()], color="0.7")
    weights.set(xscale="log", xlabel="weights")
    weights.set_yticks(places, names, fontsize=7)
    weights.invert_yaxis()
    zeros.barh(places, [float((kernel == 0).mean()) for kernel in kernels.values()], color="#0b6e99")
    zeros.set(xlim=(0, 1), xlabel="share of zeros")
    for place, layer in enumerate(kernel_layers(model.architecture)):
        if layer.name in model.clustered:
            kernel = kernels[layer.name]
            values, counts = np.unique(kernel[kernel != 0], return_counts=True)
            largest = max(float(np.abs(values).max(initial=0)), 1e-30)
            areas = 4 + 60 * counts / max(1, counts.max(initial=0))
            books.scatter(values / largest, np.full(len(values), place), s=areas, color="#b04a2f", alpha=0.6)
    books.set(xlim=(-1.1, 1.1), xlabel="codebook, its largest value as 1; area: how often")


def _picture(draw: Any, size: tuple[float, float]) -> str:
    figure = new_figure(size, extra="compress")
    draw(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
